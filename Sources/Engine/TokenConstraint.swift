/// A grammar that an output follows, and how far the output has come in it.
///
/// A value, so that each request has its own. The only order: `mask`, then `advance` by the token that was chosen.
package protocol TokenConstraint: Sendable {
  /// What may come next.
  mutating func mask() -> TokenMask
  /// - Parameter token: Any; one that the grammar does not allow ends the output, and `mask` says so.
  mutating func advance(_ token: Int32)
}

/// Which tokens may come next.
package struct TokenMask: Sendable, Equatable {
  /// Bit `id % 64` of word `id / 64`. Tokens beyond the last word may not come.
  package var words: [UInt64]
  /// The output may end here: end-of-sequence tokens may come too, which have no bit of their own.
  package var canEnd: Bool
  /// No bit is set: the output must end here.
  package var isEmpty: Bool

  package init(words: [UInt64], canEnd: Bool) {
    self.words = words
    self.canEnd = canEnd
    isEmpty = words.allSatisfy { $0 == 0 }
  }

  package func allows(_ token: Int) -> Bool {
    token >> 6 < words.count && words[token >> 6] >> UInt64(token & 63) & 1 == 1
  }
}
