import CLinux
import Glibc
import KVBlocks

/// A peer's pool, mapped read-only into this process for as long as a connection to it lives.
final class PeerMemory: Sendable {
  private let layout: KVLayout
  private let blockCount: Int
  // SAFETY: never written here; unmapped in deinit. Sealed against shrinking, so reading it cannot fault. The peer
  // does not reuse a block while our claim on it holds, which RELEASED confirms.
  private nonisolated(unsafe) let base: UnsafeRawPointer

  /// Takes the descriptor over.
  /// - Returns: nil, with the reason, if it is not a pool of that size in our layout that cannot shrink.
  static func map(_ descriptor: Int32, layout: KVLayout, blockCount: UInt64) -> Result<PeerMemory, Refusal> {
    defer { close(descriptor) }
    guard let count = Int32(exactly: blockCount), count > 0 else {
      return .failure(Refusal(text: "a pool of \(blockCount) blocks"))
    }
    let bytes = Int(count) * layout.bytesPerBlock
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= bytes else {
      return .failure(Refusal(text: "the peer's memory file is smaller than its \(blockCount) blocks"))
    }
    guard xs_seals_forbid_shrinking(xs_get_seals(descriptor)) != 0 else {
      return .failure(Refusal(text: "the peer's memory file is not sealed against shrinking"))
    }
    guard let base = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      return .failure(Refusal(text: "mmap: \(String(cString: strerror(errno)))"))
    }
    return .success(PeerMemory(base: base, layout: layout, blockCount: Int(count)))
  }

  struct Refusal: Error {
    let text: String
  }

  private init(base: UnsafeRawPointer, layout: KVLayout, blockCount: Int) {
    self.base = base
    self.layout = layout
    self.blockCount = blockCount
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: base), blockCount * layout.bytesPerBlock) }

  /// - Returns: nil if the pool has no such block.
  func bytes(of block: UInt32) -> UnsafeRawBufferPointer? {
    guard Int(block) < blockCount else { return nil }
    return UnsafeRawBufferPointer(start: base + Int(block) * layout.bytesPerBlock, count: layout.bytesPerBlock)
  }

  /// One piece; nil if the pool has no such block.
  func bytes(of block: UInt32, layer: Int) -> UnsafeRawBufferPointer? {
    bytes(of: block).map { UnsafeRawBufferPointer(rebasing: $0[layout.bytes(ofLayer: layer)]) }
  }
}
