/// What one case took, and what a plain copy took in turn with it.
package struct TransferRow: Sendable {
  package let test: TransferCase
  /// Seconds until all streams were through, one for each repetition.
  package let rounds: [Double]
  /// Seconds of each handoff, from the ticket to RELEASED.
  package let handoffs: [Double]
  /// Seconds in which as many threads as there are streams copied as many bytes with `memcpy`.
  package let copies: [Double]
  /// Seconds in which the decoder's transport was made, connected, and pulled for the first time.
  package let first: Double

  package init(test: TransferCase, rounds: [Double], handoffs: [Double], copies: [Double], first: Double) {
    self.test = test
    self.first = first
    self.rounds = rounds
    self.handoffs = handoffs
    self.copies = copies
  }

  /// GB/s, of 10⁹ bytes.
  package var rate: (median: Double, min: Double, max: Double) { rate(rounds) }
  package var copyRate: (median: Double, min: Double, max: Double) { rate(copies) }
  package var shareOfCopy: Double { rate.median / copyRate.median }

  /// Seconds.
  package var latency: (median: Double, p99: Double) {
    let sorted = handoffs.sorted()
    return (quantile(sorted, 0.5), quantile(sorted, 0.99))
  }

  private func rate(_ seconds: [Double]) -> (median: Double, min: Double, max: Double) {
    let sorted = seconds.map { Double(test.bytes) / $0 / 1e9 }.sorted()
    return (quantile(sorted, 0.5), sorted.first ?? 0, sorted.last ?? 0)
  }
}

/// The nearest rank.
func quantile(_ sorted: [Double], _ share: Double) -> Double {
  guard !sorted.isEmpty else { return 0 }
  let rank = Int((share * Double(sorted.count)).rounded(.up))
  return sorted[max(0, min(sorted.count, rank) - 1)]
}
