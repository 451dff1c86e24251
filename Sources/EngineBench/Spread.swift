/// Median and extremes of what was measured.
package struct Spread: Equatable, Sendable {
  package let median: Double
  package let min: Double
  package let max: Double

  /// - Precondition: `samples` is not empty. Of an even number, the median is the mean of the middle two.
  package init(_ samples: [Double]) {
    let sorted = samples.sorted()
    precondition(!sorted.isEmpty)
    let middle = sorted.count / 2
    median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    min = sorted[0]
    max = sorted[sorted.count - 1]
  }
}
