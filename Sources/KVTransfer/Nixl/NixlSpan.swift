import KVBlocks

/// Bytes of a peer's pool, and where in ours they shall go.
package struct NixlSpan: Equatable, Sendable {
  package var remote: UInt
  package var local: UInt
  package var bytes: Int

  package init(remote: UInt, local: UInt, bytes: Int) {
    self.remote = remote
    self.local = local
    self.bytes = bytes
  }

  /// The blocks of a claim, one after the other; those that are neighbours on both sides are one span.
  /// - Parameters:
  ///   - base: Where the peer's pool begins, of `blockCount` blocks.
  ///   - targets: At least as many as `sources`; `localBase` is where their pool begins.
  /// - Returns: nil if the peer's pool has no such block.
  package static func spans(
    _ sources: [UInt32], at base: UInt, blockCount: Int, into targets: [KVBlockID], at localBase: UInt,
    bytesPerBlock: Int
  ) -> [NixlSpan]? {
    var spans: [NixlSpan] = []
    for (source, target) in zip(sources, targets) {
      guard Int(source) < blockCount else { return nil }
      let next = NixlSpan(
        remote: base + UInt(source) * UInt(bytesPerBlock), local: localBase + UInt(target.index) * UInt(bytesPerBlock),
        bytes: bytesPerBlock)
      if let last = spans.last, last.remote + UInt(last.bytes) == next.remote,
        last.local + UInt(last.bytes) == next.local
      {
        spans[spans.count - 1].bytes += bytesPerBlock
      } else {
        spans.append(next)
      }
    }
    return spans
  }
}
