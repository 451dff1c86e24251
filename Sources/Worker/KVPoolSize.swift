import KVBlocks

/// How many KV blocks a worker holds.
package enum KVPoolSize: Sendable, Equatable {
  case blocks(Int)
  case bytes(Int)
  /// Eight full contexts, but at most a quarter of the machine's memory, and at least one context.
  case automatic

  /// - Parameters:
  ///   - maxModelLength: tokens of the longest sequence.
  ///   - memory: bytes of the machine.
  /// - Throws: `poolTooSmall` if not even one sequence of `maxModelLength` fits.
  package func blocks(layout: KVLayout, maxModelLength: Int, memory: Int) throws(WorkerError) -> Int {
    let context = layout.blocks(forTokens: maxModelLength)
    let count =
      switch self {
      case .blocks(let count): count
      case .bytes(let bytes): bytes / layout.bytesPerBlock
      case .automatic: max(context, min(8 * context, memory / 4 / layout.bytesPerBlock))
      }
    guard count >= context else {
      throw .poolTooSmall(blocks: count, blockSize: layout.blockSize, maxModelLength: maxModelLength)
    }
    return count
  }
}
