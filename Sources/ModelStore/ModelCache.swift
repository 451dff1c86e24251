import Foundation

/// The folder of pulled models: `NAME.gguf` for known ones, `hf/ORG/REPO/FILE.gguf` for those of the hub.
///
/// Beside each lies `….gguf.sha256`, the hash that it was checked against. While it is pulled there are `….part`
/// (what came so far), `….part.etag` and `….lock`.
package struct ModelCache: Sendable {
  package let folder: String

  package init(folder: String) {
    self.folder = folder
  }

  /// `$XDG_CACHE_HOME/xpyd/models`, else `~/.cache/xpyd/models`.
  package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    let configured = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    let home = environment["HOME"] ?? NSHomeDirectory()
    folder = (configured ?? home + "/.cache") + "/xpyd/models"
  }

  /// Where the model of this name lies, or would; nil if no model can have the name.
  package func path(of name: String) -> String? {
    if let file = HubFile(name: name) { return "\(folder)/hf/\(file.repository)/\(file.file)" }
    let isPlain = !name.isEmpty && !name.hasPrefix(".") && !name.contains("/") && !name.contains("\0")
    return isPlain && !name.hasPrefix("hf:") ? "\(folder)/\(name).gguf" : nil
  }

  package struct Entry: Sendable, Equatable {
    package let name: String
    package let path: String
    package let byteCount: Int
  }

  /// The models that are there, by name.
  package func list() -> [Entry] {
    let root = URL(filePath: folder, directoryHint: .isDirectory)
    guard let files = FileManager.default.enumerator(atPath: root.path) else { return [] }
    var entries: [Entry] = []
    for case let file as String in files where file.hasSuffix(".gguf") {
      let name = file.hasPrefix("hf/") ? "hf:" + file.dropFirst(3) : String(file.dropLast(5))
      let path = folder + "/" + file
      guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
        attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? Int
      else { continue }
      entries.append(Entry(name: name, path: path, byteCount: size))
    }
    return entries.sorted { $0.name < $1.name }
  }

  /// The file of a model: a path as it is, a name if it was pulled. The file is there and starts as GGUF does, or is a
  /// folder that has a config.json.
  package func resolve(_ nameOrPath: String) throws(ModelStoreError) -> String {
    if Self.isPath(nameOrPath) {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: nameOrPath, isDirectory: &isFolder) else {
        throw .noSuchFile(path: nameOrPath)
      }
      if isFolder.boolValue {
        guard FileManager.default.fileExists(atPath: nameOrPath + "/config.json") else {
          throw .notAModel(folder: nameOrPath)
        }
        return nameOrPath
      }
      return try checked(nameOrPath)
    }
    guard let path = path(of: nameOrPath), FileManager.default.fileExists(atPath: path) else {
      throw .unknownModel(nameOrPath, folder: folder, present: list().map(\.name))
    }
    return try checked(path)
  }

  /// `hf:…` is a name; what else has a slash or ends in `.gguf` is a path.
  private static func isPath(_ nameOrPath: String) -> Bool {
    !nameOrPath.hasPrefix("hf:") && (nameOrPath.contains("/") || nameOrPath.hasSuffix(".gguf"))
  }

  private func checked(_ path: String) throws(ModelStoreError) -> String {
    let file = FileHandle(forReadingAtPath: path)
    defer { try? file?.close() }
    guard let start = try? file?.read(upToCount: 4), start == Data("GGUF".utf8) else { throw .notGGUF(path: path) }
    return path
  }
}

/// The file of a model in the user's cache, or the path itself.
package func resolve(_ nameOrPath: String) throws(ModelStoreError) -> String {
  try ModelCache().resolve(nameOrPath)
}
