import Foundation

/// Mean, median, spread and percentiles of one latency, in milliseconds; all 0 if there was none, as numpy's of an
/// empty list are in vLLM.
package struct LatencySummary: Sendable, Equatable {
  package struct Percentile: Sendable, Equatable {
    /// From 0 to 100.
    package var rank: Double
    package var milliseconds: Double

    package init(rank: Double, milliseconds: Double) {
      self.rank = rank
      self.milliseconds = milliseconds
    }
  }

  package var count: Int
  package var mean: Double
  package var median: Double
  /// Of the population, not of a sample of it.
  package var standardDeviation: Double
  package var percentiles: [Percentile]

  package init(count: Int, mean: Double, median: Double, standardDeviation: Double, percentiles: [Percentile]) {
    self.count = count
    self.mean = mean
    self.median = median
    self.standardDeviation = standardDeviation
    self.percentiles = percentiles
  }

  /// - Parameter seconds: In any order.
  package init(seconds: [Double], percentiles ranks: [Double]) {
    let sorted = seconds.sorted()
    let mean = sorted.isEmpty ? 0 : sorted.reduce(0, +) / Double(sorted.count)
    let squares = sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    func value(at rank: Double) -> Double {
      interpolate(rank: rank, count: sorted.count) { sorted[$0] } * 1000
    }
    self.init(
      count: sorted.count, mean: mean * 1000, median: value(at: 50),
      standardDeviation: sorted.isEmpty ? 0 : (squares / Double(sorted.count)).squareRoot() * 1000,
      percentiles: ranks.map { Percentile(rank: $0, milliseconds: value(at: $0)) })
  }

  package init(_ counts: MicrosecondCounts, percentiles ranks: [Double]) {
    let table = counts.cumulated()
    func value(at rank: Double) -> Double {
      interpolate(rank: rank, count: counts.count) { Double(table.value(at: $0)) } / 1000
    }
    self.init(
      count: counts.count, mean: counts.mean / 1000, median: value(at: 50),
      standardDeviation: counts.standardDeviation / 1000,
      percentiles: ranks.map { Percentile(rank: $0, milliseconds: value(at: $0)) })
  }
}

/// numpy's `linear` percentile: between the two values whose places enclose the rank; 0 if there is no value.
private func interpolate(rank: Double, count: Int, _ value: (Int) -> Double) -> Double {
  guard count > 0 else { return 0 }
  let place = rank / 100 * Double(count - 1)
  let below = min(max(Int(place), 0), count - 1)
  let low = value(below)
  let high = value(min(below + 1, count - 1))
  let fraction = place - Double(below)
  return fraction < 0.5 ? low + (high - low) * fraction : high - (high - low) * (1 - fraction)
}
