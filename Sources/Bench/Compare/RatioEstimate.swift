import Glibc

/// How much larger a figure is at B than at A, from rounds in which both had the same work.
///
/// The rounds' ratios are taken as log-normal: the geometric mean, and Student's interval around it. It holds for few
/// rounds, which bootstrapping would not, and widens without mercy when there are only two.
package struct RatioEstimate: Equatable, Sendable {
  /// B / A.
  package let ratio: Double
  /// Of the rounds' ratios.
  package let range: ClosedRange<Double>
  /// Where the true ratio lies with 99 % confidence; nil from a single round, which tells nothing about noise.
  package let interval: ClosedRange<Double>?

  /// - Parameter rounds: Pairs of one round each. Those in which a figure is missing, zero or negative do not count.
  /// - Returns: nil if no round counts.
  package init?(rounds: [(a: Double?, b: Double?)]) {
    let logs = rounds.compactMap { round -> Double? in
      guard let a = round.a, let b = round.b, a > 0, b > 0, a.isFinite, b.isFinite else { return nil }
      return log(b / a)
    }
    guard let low = logs.min(), let high = logs.max() else { return nil }
    let count = Double(logs.count)
    let mean = logs.reduce(0, +) / count
    ratio = exp(mean)
    range = exp(low)...max(exp(low), exp(high))
    guard logs.count > 1 else {
      interval = nil
      return
    }
    let variance = logs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let half = Self.studentQuantile(degrees: logs.count - 1) * (variance / count).squareRoot()
    interval = exp(mean - half)...exp(mean + half)
  }

  /// What the rounds say: B's figure is larger or smaller than A's beyond the noise and by at least `least` (0.01 is
  /// 1 %), or neither.
  package func difference(least: Double) -> Difference {
    guard let interval, abs(ratio - 1) >= least else { return .none }
    if interval.lowerBound > 1 { return .larger }
    return interval.upperBound < 1 ? .smaller : .none
  }

  package enum Difference: Equatable, Sendable { case larger, smaller, none }

  /// The 0.995 quantile of Student's t distribution, which leaves 1 % outside on both sides together.
  /// Between the table's rows the wider one counts.
  private static func studentQuantile(degrees: Int) -> Double {
    let table = [
      63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
      2.898, 2.878, 2.861, 2.845,
    ]
    return table[min(degrees, table.count) - 1]
  }
}
