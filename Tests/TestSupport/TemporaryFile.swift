import Glibc

/// A file in the temporary folder that is gone when this object is: bind it to a constant until the file is open.
package final class TemporaryFile: Sendable {
  package let path: String

  /// - Parameter suffix: How the name ends: `.gguf`.
  package init(_ bytes: [UInt8], suffix: String = "") {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/xpyd-test-XXXXXX\(suffix)".utf8CString)
    let descriptor = mkstemps(&template, Int32(suffix.utf8.count))
    guard descriptor >= 0 else { fatalError("cannot write a file to \(folder): \(String(cString: strerror(errno)))") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { fatalError("cannot write \(path): \(String(cString: strerror(errno)))") }
      written += count
    }
    close(descriptor)
  }

  deinit { unlink(path) }
}
