import Foundation

/// `Fixtures/fake_hub.py` as a child, on a port of its own choice; gone when this object is.
final class FakeHub {
  private let process = Process()
  private let input = Pipe()
  let endpoint: String

  /// What the hub sends: `BODY` of the script.
  static let body = Data("GGUF".utf8) + Data((0..<1000).flatMap { _ in UInt8.min...UInt8.max })

  init() throws {
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/fake_hub.py")
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", script.path]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let port = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    endpoint = "http://127.0.0.1:" + port.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// The headers of the requests so far.
  func requests() throws -> [[String: String]] {
    let text = try String(contentsOf: URL(string: endpoint + "/log")!, encoding: .utf8)
    return try text.split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return (object ?? [:]).compactMapValues { $0 as? String }
    }
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.terminate()
  }
}

/// A folder that goes when the object does.
final class ScratchFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "xpyd-store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  func write(_ text: String, to name: String, executable: Bool = false) throws {
    let url = URL(filePath: path + "/" + name)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
    if executable { try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url.path) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
