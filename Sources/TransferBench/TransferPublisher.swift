import KVBlocks
import KVTransfer
import Logging

/// A prefiller's side of the measurement: a pool full of known bytes, and its transport.
package final class TransferPublisher: Sendable {
  package let transport: PullTransport
  let memory: KVMemory

  /// - Parameter blocks: in the pool.
  package init(
    layout: KVLayout, blocks: Int, configuration: TransferConfiguration, logger: Logger
  ) throws {
    memory = try KVMemory(layout: layout, blockCount: blocks)
    for index in 0..<blocks { memory.bytes(of: KVBlockID(Int32(index))).fill(with: index) }
    transport = try PullTransport(
      memory: memory, identity: Self.identity(layout), configuration: configuration, logger: logger)
  }

  /// Both sides of a measurement have the same model: none.
  static func identity(_ layout: KVLayout) -> KVIdentity {
    KVIdentity(
      engineID: KVHandoffName.random(), model: "xpyd bench transfer", tokenizer: "xpyd bench transfer", layout: layout)
  }

  /// A handoff of the pool's blocks `first..<first + count`.
  package func publish(
    first: Int, count: Int, onRelease: @escaping @Sendable () -> Void = {}
  ) throws(KVTransferError) -> KVHandoff {
    try transport.publish(
      (first..<first + count).map { KVBlockID(Int32($0)) }, tokens: count * memory.layout.blockSize,
      requestID: "bench", lease: .seconds(60), onRelease: onRelease)
  }
}

extension TransferPublisher {
  /// The same of blocks that are still to be computed.
  func open(first: Int, count: Int, tokens: Int) throws(KVTransferError) -> KVPublication {
    try transport.open(
      (first..<first + count).map { KVBlockID(Int32($0)) }, tokens: tokens, requestID: "bench", lease: .seconds(60),
      onRelease: {})
  }
}

enum KVHandoffName {
  /// New for each side of each measurement.
  static func random() -> String { String(UInt64.random(in: 0...UInt64.max), radix: 16) }
}

extension UnsafeMutableRawBufferPointer {
  /// Bytes that tell block from block, and any two neighbouring words of one.
  func fill(with index: Int) {
    let words = bindMemory(to: UInt64.self)
    for position in words.indices {
      words[position] = UInt64(truncatingIfNeeded: index &* 0x9E37_79B9 &+ position &* 0x0100_0193)
    }
  }
}
