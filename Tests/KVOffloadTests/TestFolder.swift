import Glibc

/// A folder that is gone, with the files in it, when this object is.
final class TestFolder: Sendable {
  let path: String

  init() {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/xpyd-offload-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("cannot make a folder in \(parent)") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit {
    for name in ["index", "data"] {
      for number in 0..<4 { unlink("\(path)/xpyd-kv-\(number).\(name)") }
    }
    rmdir(path)
  }

  func file(_ name: String) -> String { "\(path)/xpyd-kv-0.\(name)" }

  /// Changes one byte, or cuts the file there.
  func spoil(_ name: String, at offset: Int, cutting: Bool = false) {
    if cutting {
      precondition(truncate(file(name), offset) == 0)
      return
    }
    let descriptor = open(file(name), O_RDWR)
    precondition(descriptor >= 0)
    defer { close(descriptor) }
    var byte: UInt8 = 0
    precondition(pread(descriptor, &byte, 1, offset) == 1)
    byte ^= 0x10
    precondition(pwrite(descriptor, &byte, 1, offset) == 1)
  }

  func write(_ name: String, _ bytes: [UInt8]) {
    let descriptor = open(file(name), O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0 && pwrite(descriptor, bytes, bytes.count, 0) == bytes.count)
    close(descriptor)
  }

  func size(of name: String) -> Int {
    var status = stat()
    return stat(file(name), &status) == 0 ? status.st_size : -1
  }
}
