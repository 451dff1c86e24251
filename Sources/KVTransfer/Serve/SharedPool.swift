import Glibc
import KVBlocks

/// A read-only descriptor of our own pool, to be lent to peers on this host.
final class SharedPool: Sendable {
  let descriptor: Int32

  /// - Returns: nil if `/proc` is not there to open it again through.
  init?(_ memory: KVMemory) {
    descriptor = open("/proc/self/fd/\(memory.fileDescriptor)", O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { return nil }
  }

  deinit { close(descriptor) }

  /// Where a prefiller lends it.
  static func unixName(_ incarnation: String) -> String { "xpyd-kv-\(incarnation)" }
}
