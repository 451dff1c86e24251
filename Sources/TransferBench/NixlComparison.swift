import Dispatch
import KVBlocks
import KVTransfer

/// The NIXL adapter in turn with the bare C API: the same bytes, read by two agents of this process.
package struct NixlComparison: Sendable {
  package var library: String?
  /// Each size runs so often at least, and so long.
  package var repetitions = 5
  package var duration = Duration.milliseconds(500)

  package init(library: String?) { self.library = library }

  /// Blocks a thread of Dispatch's.
  package func run(_ test: TransferCase) async throws -> NixlRow {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(with: Result { try measure(test) }) }
    }
  }

  private func measure(_ test: TransferCase) throws -> NixlRow {
    let library = try NixlLibrary.open(library)
    let memories = try (0..<4).map { _ in try KVMemory(layout: test.layout, blockCount: test.blocksPerStream) }
    for memory in memories { memset(memory) }
    let plain = try PlainNixl(library, source: memories[0], target: memories[1])
    let (owner, reader) = (
      try NixlAgent.start(library, over: memories[2]), try NixlAgent.start(library, over: memories[3])
    )
    defer {
      reader.close()
      owner.close()
    }
    let end = ContinuousClock.now + .seconds(60) + duration
    let peer = try reader.meet(try owner.advert(until: end), blockCount: UInt64(test.blocksPerStream), until: end)
    let blocks = (0..<UInt32(test.blocksPerStream)).map { $0 }
    let targets = test.blocks(of: 0)
    func adapted() throws -> Double {
      let start = ContinuousClock.now
      _ = try peer.read(blocks, into: targets, Patience(stall: .seconds(30), whole: .seconds(60))) {
        owner.serveReads(until: end)
        return nil
      }
      return start.duration(to: .now) / .seconds(1)
    }
    // The first round connects.
    _ = (try plain.read(), try adapted())
    var (bare, adapter): ([Double], [Double]) = ([], [])
    let deadline = ContinuousClock.now + duration
    while bare.count < repetitions || ContinuousClock.now < deadline {
      bare.append(try plain.read())
      adapter.append(try adapted())
    }
    return NixlRow(bytes: test.bytesPerStream, bare: bare, adapter: adapter)
  }

  /// So that no page is touched for the first time in the measurement.
  private func memset(_ memory: KVMemory) {
    for index in 0..<memory.blockCount { memory.bytes(of: KVBlockID(Int32(index))).fill(with: index) }
  }
}

/// What reads of one size took.
package struct NixlRow: Sendable {
  package let bytes: Int
  /// Seconds of each read.
  package let bare: [Double]
  package let adapter: [Double]

  package init(bytes: Int, bare: [Double], adapter: [Double]) {
    (self.bytes, self.bare, self.adapter) = (bytes, bare, adapter)
  }

  package var median: (bare: Double, adapter: Double) {
    (quantile(bare.sorted(), 0.5), quantile(adapter.sorted(), 0.5))
  }
  /// Of the bare API's rate.
  package var share: Double { median.bare / median.adapter }
  package var addedSeconds: Double { median.adapter - median.bare }
}

extension NixlRow: CustomStringConvertible {
  package var description: String {
    """
    NIXL read of \(bytes) bytes: C API \(fixed(median.bare * 1e6, 1)) µs, adapter \(fixed(median.adapter * 1e6, 1)) µs: \
    \(fixed(share, 3))×, \(fixed(addedSeconds * 1e6, 1)) µs added

    """
  }
}
