import Crypto
import Foundation

/// The few file operations of a pull, with their failures as `ModelStoreError`.
enum FileSystem {
  static func makeFolder(_ path: String) throws(ModelStoreError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw failure(path, errno: errno, otherwise: "\((error as NSError).localizedDescription)")
    }
  }

  static func size(_ path: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int
  }

  static func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Lowercase hexadecimal.
  static func sha256(_ path: String) throws(ModelStoreError) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { throw failure(path, errno: errno) }
    defer { close(descriptor) }
    var hash = SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { throw failure(path, errno: errno) }
      if count == 0 { break }
      hash.update(data: buffer[..<count])
    }
    return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Moves a finished file to its name. It is on the disk before it has the name, so that a crash leaves all or nothing.
  static func publish(_ part: String, as path: String) throws(ModelStoreError) {
    try sync(part)
    guard rename(part, path) == 0 else { throw failure(path, errno: errno) }
    try sync((path as NSString).deletingLastPathComponent)
  }

  static func write(_ text: String, to path: String) throws(ModelStoreError) {
    let part = path + ".new"
    guard FileManager.default.createFile(atPath: part, contents: Data(text.utf8)) else {
      throw failure(part, errno: errno)
    }
    try publish(part, as: path)
  }

  static func text(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map {
      String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  static func failure(_ path: String, errno code: Int32, otherwise: String? = nil) -> ModelStoreError {
    if code == ENOSPC || code == EDQUOT { return .diskFull(path: path) }
    return .cannotWrite(path: path, reason: code == 0 ? otherwise ?? "unknown reason" : String(cString: strerror(code)))
  }

  private static func sync(_ path: String) throws(ModelStoreError) {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { throw failure(path, errno: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(path, errno: errno) }
  }
}

/// Held by the one process that pulls a model; the system takes it back if the process dies.
struct PullLock {
  private let descriptor: Int32

  init(model: String, path: String) throws(ModelStoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileSystem.failure(path, errno: errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw .busy(model: model, lock: path)
    }
    self.descriptor = descriptor
  }

  /// Called once.
  func release() { close(descriptor) }
}
