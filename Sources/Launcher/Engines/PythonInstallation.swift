import Foundation
import Subprocess

/// `0.32.0+cpu` as far as it orders.
package struct PythonVersion: Comparable, Sendable, CustomStringConvertible {
  let numbers: [Int]
  package let description: String

  package init(_ numbers: Int...) {
    self.numbers = numbers
    description = numbers.map(String.init).joined(separator: ".")
  }

  /// - Returns: nil unless `text` begins with a number.
  package init?(_ text: String) {
    let leading = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0.prefix { $0.isNumber }) }
    let numbers = leading.prefix { $0 != nil }.compactMap { $0 }
    guard !numbers.isEmpty else { return nil }
    self.numbers = numbers
    description = text
  }

  package static func < (one: PythonVersion, other: PythonVersion) -> Bool {
    one.numbers.lexicographicallyPrecedes(other.numbers)
  }

  package static func == (one: PythonVersion, other: PythonVersion) -> Bool { one.numbers == other.numbers }
}

/// The Python that a command such as `vllm` runs with, and what is installed in it.
package struct PythonInstallation: Sendable {
  /// The command's first line names it.
  let interpreter: String

  /// - Returns: nil if `command` is no script of Python's.
  package init?(runs command: String) {
    guard let file = FileHandle(forReadingAtPath: command), let data = try? file.read(upToCount: 512) else {
      return nil
    }
    let words = (String(decoding: data, as: UTF8.self).split(separator: "\n").first ?? "").dropFirst(2)
      .split(separator: " ")
    guard data.starts(with: Data("#!".utf8)), let name = words.last, name.contains("python") else { return nil }
    interpreter = words.count > 1 ? (Executables.find(String(name)) ?? String(name)) : String(name)
  }

  /// The version of each distribution, or what importing its module says; a distribution without an entry is not there.
  ///
  /// - Parameter importing: Whether the modules are imported, too: for vLLM that takes many seconds.
  package func versions(
    of distributions: [(distribution: String, module: String)], importing: Bool
  ) async -> [String: Result<PythonVersion, ImportFailure>] {
    let program = """
      import importlib, importlib.metadata, sys
      for pair in sys.argv[2:]:
          name, module = pair.split("=")
          try:
              version = importlib.metadata.version(name)
          except importlib.metadata.PackageNotFoundError:
              continue
          try:
              if sys.argv[1] == "import": importlib.import_module(module)
              print(name, "ok", version)
          except BaseException as error:
              print(name, "error", type(error).__name__ + ":", str(error).replace("\\n", " ")[:300])
      """
    let arguments =
      ["-c", program, importing ? "import" : "list"] + distributions.map { "\($0.distribution)=\($0.module)" }
    let answer = await Executables.output(of: interpreter, arguments)
    var found: [String: Result<PythonVersion, ImportFailure>] = [:]
    for line in (answer ?? "").split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      guard words.count == 3 else { continue }
      found[words[0]] =
        words[1] == "ok" ? .success(PythonVersion(words[2]) ?? PythonVersion(0)) : .failure(.init(text: words[2]))
    }
    return found
  }

  package struct ImportFailure: Error, Sendable {
    package let text: String

    package init(text: String) { self.text = text }
  }
}

/// Programs on the search path.
package enum Executables {
  /// - Returns: The first executable file of this name, as the shell would find it; a path stays what it is.
  package static func find(
    _ name: String, path: String = ProcessInfo.processInfo.environment["PATH"] ?? ""
  ) -> String? {
    let candidates = name.contains("/") ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
    return candidates.first { candidate in
      var isDirectory: ObjCBool = false
      return FileManager.default.isExecutableFile(atPath: candidate)
        && FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory) && !isDirectory.boolValue
    }
  }

  /// - Returns: What it writes to standard output, at most 64 KiB; nil if it cannot be run. Whatever it takes, at most a
  ///   minute is waited.
  static func output(of path: String, _ arguments: [String]) async -> String? {
    await withTaskGroup(of: String?.self) { group in
      group.addTask {
        let result = try? await run(
          .path(.init(path)), arguments: Arguments(arguments), output: .string(limit: 1 << 16), error: .discarded)
        return result?.standardOutput ?? nil
      }
      group.addTask {
        try? await Task.sleep(for: .seconds(60))
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
    }
  }
}
