import Glibc

/// A file descriptor that is closed with its owner, and reads and writes that do all or throw.
final class OpenFile: Sendable {
  let path: String
  private let descriptor: Int32

  /// Opens the file, and makes it if it is not there, for this user alone.
  init(_ path: String) throws(OffloadError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .unusableFile(path: path, call: "open", errno: errno) }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The lock goes with the process, however it ends.
  /// - Returns: False if another has it.
  func lock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(OffloadError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, offset + done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .failedIO(call: "pwrite \(path)", errno: count == 0 ? ENOSPC : errno) }
      done += count
    }
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(OffloadError) {
    try bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try write(bytes, at: offset) }
    }.get()
  }

  /// - Returns: How many bytes there were; fewer than asked for at the file's end.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(OffloadError) -> Int {
    var done = 0
    while done < bytes.count {
      let count = pread(descriptor, bytes.baseAddress! + done, bytes.count - done, offset + done)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .failedIO(call: "pread \(path)", errno: errno) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// The first bytes, as many as there are and at most `limit`.
  func prefix(_ limit: Int) throws(OffloadError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = try bytes.withUnsafeMutableBytes { bytes in
      Result { () throws(OffloadError) in try read(into: bytes, at: 0) }
    }.get()
    return Array(bytes.prefix(count))
  }

  func truncate(to size: Int) throws(OffloadError) {
    guard ftruncate(descriptor, size) == 0 else { throw .failedIO(call: "ftruncate \(path)", errno: errno) }
  }

  func size() throws(OffloadError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .failedIO(call: "fstat \(path)", errno: errno) }
    return status.st_size
  }
}
