import Foundation
import Glibc

/// Holds `lmcache_rpc_port` for this worker: two workers of one host must not have the same.
///
/// A locked file per name; the lock goes with the process, however it ends.
final class LMCachePort: Sendable {
  private let descriptor: Int32

  /// - Parameter owner: who this is, for the other's error.
  /// - Throws: `WorkerError.lmcachePortTaken`, which names both.
  init(_ name: String, owner: String, folder: String = NSTemporaryDirectory()) throws(WorkerError) {
    let safe = name.utf8.map { byte in
      byte.isPlain ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16)
    }
    let path = "\(folder)/xpyd-lmcache-\(geteuid())-\(safe.joined()).lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw .badTransferConfiguration("cannot hold lmcache_rpc_port: \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      var bytes = [UInt8](repeating: 0, count: 256)
      let count = max(0, pread(descriptor, &bytes, bytes.count, 0))
      close(descriptor)
      throw .lmcachePortTaken(name, by: String(decoding: bytes.prefix(count), as: UTF8.self), for: owner)
    }
    ftruncate(descriptor, 0)
    _ = pwrite(descriptor, owner, owner.utf8.count, 0)
    // Last: what throws once it is set runs `deinit` too, and would close the number twice.
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}

extension UInt8 {
  /// A letter, digit, dot, dash or underscore.
  fileprivate var isPlain: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
