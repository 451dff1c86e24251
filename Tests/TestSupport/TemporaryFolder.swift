import Foundation

/// A folder of files that is gone when this object is.
package final class TemporaryFolder: Sendable {
  package let path: String

  package init(_ files: [String: [UInt8]]) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "xpyd-test-\(UUID().uuidString)")
    path = folder.path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A .safetensors file of this header and as many zeros.
  package static func safetensors(_ header: String, dataBytes: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
      + Array(repeating: 0, count: dataBytes)
  }
}
