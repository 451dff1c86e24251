import CLinux
import Glibc

/// The bytes of a KV pool: one anonymous file that another process on this host can map.
///
/// Holds no notion of which block is free; `KVBlockPool` does. Bytes are zero until written.
package final class KVMemory: Sendable {
  package let layout: KVLayout
  package let blockCount: Int
  /// The memory file; stays open, and owned by this object, as long as the object lives.
  package let fileDescriptor: Int32
  // SAFETY: the mapping lives as long as this object. Who may touch which block is decided by the pool: a block
  // has one writer (the step loop, or the transfer that fills it), and readers only after the writer is done.
  package nonisolated(unsafe) let base: UnsafeMutableRawPointer

  package var byteCount: Int { blockCount * layout.bytesPerBlock }

  /// - Throws: `KVMemoryError` if the system has not that much memory to map.
  package init(layout: KVLayout, blockCount: Int) throws(KVMemoryError) {
    precondition(blockCount > 0)
    let bytes = blockCount * layout.bytesPerBlock
    let descriptor = xs_memfd_create("xpyd-kv")
    guard descriptor >= 0 else { throw KVMemoryError(call: "memfd_create", bytes: bytes, errno: errno) }
    guard ftruncate(descriptor, bytes) == 0 else {
      let code = errno
      close(descriptor)
      throw KVMemoryError(call: "ftruncate", bytes: bytes, errno: code)
    }
    guard xs_seal_size(descriptor) == 0,
      let address = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), address != MAP_FAILED
    else {
      let code = errno
      close(descriptor)
      throw KVMemoryError(call: "mmap", bytes: bytes, errno: code)
    }
    self.layout = layout
    self.blockCount = blockCount
    self.fileDescriptor = descriptor
    self.base = address
  }

  deinit {
    munmap(base, byteCount)
    close(fileDescriptor)
  }

  /// The bytes of one block, all layers.
  package func bytes(of block: KVBlockID) -> UnsafeMutableRawBufferPointer {
    precondition(block.index >= 0 && Int(block.index) < blockCount)
    return UnsafeMutableRawBufferPointer(
      start: base + Int(block.index) * layout.bytesPerBlock, count: layout.bytesPerBlock)
  }
}

package struct KVMemoryError: Error, CustomStringConvertible {
  let call: String
  let bytes: Int
  let errno: Int32

  package var description: String {
    "cannot map \(bytes) bytes for the KV pool: \(call): \(String(cString: strerror(errno))). Lower --num-kv-blocks or --max-model-len."
  }
}
