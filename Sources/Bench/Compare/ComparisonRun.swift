/// Rounds of the same work against two endpoints, one after the other.
package struct ComparisonRun: Sendable {
  package enum Side: String, CaseIterable, Sendable { case a, b }

  package let comparison: Comparison
  /// Of each round, in order.
  package let a: [RunReport]
  package let b: [RunReport]

  /// Runs both sides of each round. A goes first in even rounds and B in odd ones, so that a machine that warms up or
  /// tires favours neither.
  ///
  /// - Parameter measure: Runs the round's work against a side; the work of a round is the same for both. nil if it was
  ///   interrupted: then only the rounds before count.
  /// - Precondition: `rounds` is positive.
  package static func run(
    labelA: String, labelB: String, rounds: Int, onRun: (_ round: Int, Side, RunReport) -> Void = { _, _, _ in },
    measure: (_ round: Int, Side) async throws -> RunReport?
  ) async throws -> ComparisonRun {
    precondition(rounds > 0)
    var reports: [Side: [RunReport]] = [:]
    measuring: for round in 0..<rounds {
      for side in round % 2 == 0 ? [Side.a, .b] : [.b, .a] {
        guard let report = try await measure(round, side) else { break measuring }
        reports[side, default: []].append(report)
        onRun(round, side, report)
      }
    }
    let (a, b) = (reports[.a] ?? [], reports[.b] ?? [])
    let whole = min(a.count, b.count)
    return ComparisonRun(labelA: labelA, labelB: labelB, a: Array(a.prefix(whole)), b: Array(b.prefix(whole)))
  }

  /// - Precondition: Both have as many rounds.
  package init(labelA: String, labelB: String, a: [RunReport], b: [RunReport]) {
    precondition(a.count == b.count)
    self.a = a
    self.b = b
    let rounds = zip(a, b).map { Comparison.Round(a: .init($0.summary), b: .init($1.summary)) }
    comparison = Comparison(labelA: labelA, labelB: labelB, rounds: rounds)
  }

  /// All rounds of a side together.
  func pooled(_ reports: [RunReport], _ counts: KeyPath<RunCharts, MicrosecondCounts>) -> MicrosecondCounts {
    reports.reduce(into: MicrosecondCounts()) { $0.add($1.charts[keyPath: counts]) }
  }
}

extension Comparison.Side {
  init(_ summary: RunSummary) {
    self.init(figures: [:], requests: summary.requests, failed: summary.failed)
    func latency(_ metric: LatencyMetric) -> LatencySummary? {
      summary.latencies[metric].flatMap { $0.count > 0 ? $0 : nil }
    }
    figures[.meanTTFT] = latency(.ttft)?.mean
    figures[.p99TTFT] = latency(.ttft)?.percentiles.first { $0.rank == 99 }?.milliseconds
    figures[.meanTPOT] = latency(.tpot)?.mean
    figures[.meanE2EL] = latency(.e2el)?.mean
    figures[.outputThroughput] = summary.outputThroughput
    figures[.goodput] = summary.requestGoodput
  }
}
