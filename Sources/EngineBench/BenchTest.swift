/// One row of the table, named as llama-bench names it: `pp512` prefills 512 tokens, `tg64` decodes 64 tokens one at
/// a time; `tg64x8` does so for 8 sequences in each step; `…@1024` starts with 1,024 tokens in every context.
package struct BenchTest: Hashable, Sendable {
  package enum Phase: Hashable, Sendable {
    case prefill
    /// Sequences in each step.
    case decode(batch: Int)
  }

  package let phase: Phase
  /// New tokens of each sequence.
  package let tokens: Int
  /// Tokens in each sequence's context before the first new one.
  package let depth: Int

  package init(_ phase: Phase, tokens: Int, depth: Int = 0) {
    self.phase = phase
    self.tokens = tokens
    self.depth = depth
  }

  /// Positions in each sequence's context at the end.
  package var contextLength: Int { depth + tokens }

  package var sequences: Int {
    if case .decode(let batch) = phase { batch } else { 1 }
  }

  /// What llama-bench measures, and decode in batches.
  package static let usual: [BenchTest] =
    [128, 512, 2048].map { BenchTest(.prefill, tokens: $0) }
    + [0, 1024].flatMap { depth in [64, 128].map { BenchTest(.decode(batch: 1), tokens: $0, depth: depth) } }
    + [8, 32].map { BenchTest(.decode(batch: $0), tokens: 64) }
}

extension BenchTest: CustomStringConvertible {
  package var description: String {
    let place = depth == 0 ? "" : "@\(depth)"
    switch phase {
    case .prefill: return "pp\(tokens)\(place)"
    case .decode(let batch): return "tg\(tokens)\(batch == 1 ? "" : "x\(batch)")\(place)"
    }
  }

  /// - Parameter name: As `description` gives it; nil for anything else, a zero or an absurd number among it.
  package init?(name: some StringProtocol) {
    let parts = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let depth = parts.count == 1 ? 0 : Self.number(parts[1], upTo: 1 << 24) else { return nil }
    if parts[0].hasPrefix("pp"), let tokens = Self.number(parts[0].dropFirst(2), upTo: 1 << 24) {
      self.init(.prefill, tokens: tokens, depth: depth)
      return
    }
    let counts = parts[0].dropFirst(2).split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0].hasPrefix("tg"), let tokens = Self.number(counts[0], upTo: 1 << 24),
      let batch = counts.count == 1 ? 1 : Self.number(counts[1], upTo: 1 << 12)
    else { return nil }
    self.init(.decode(batch: batch), tokens: tokens, depth: depth)
  }

  /// A number from 1 up, in digits alone.
  private static func number(_ text: some StringProtocol, upTo limit: Int) -> Int? {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(text),
      (1...limit).contains(number)
    else { return nil }
    return number
  }
}
