import Glibc

/// A file's bytes, mapped read-only for as long as this object lives.
final class MappedFile: Sendable {
  let path: String
  // SAFETY: the mapping is private and read-only, and lives as long as this object.
  nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  init(path: String) throws(GGUFError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure(path, call: "open") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.failure(path, call: "fstat") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw GGUFError(path: path, offset: 0, problem: .notARegularFile)
    }
    let count = Int(status.st_size)
    guard count > 0 else {
      throw GGUFError(path: path, offset: 0, problem: .truncated(expected: "magic \"GGUF\"", needed: 4, left: 0))
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw Self.failure(path, call: "mmap")
    }
    self.path = path
    self.bytes = UnsafeRawBufferPointer(start: address, count: count)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count) }

  /// Lets the system have the memory of the pages read so far; they are read again, from its cache, when they are used.
  func releasePages() { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count, MADV_DONTNEED) }

  private static func failure(_ path: String, call: String) -> GGUFError {
    GGUFError(path: path, offset: 0, problem: .unreadable(call: call, errno: errno))
  }
}
