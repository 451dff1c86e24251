/// A line through what was measured lately: `y = base + slope · x`, neither below zero. Least squares, in which a sample
/// counts half after 177 newer ones.
package struct LinearFit: Sendable, Equatable {
  private static let decay = 1 - 1.0 / 256
  package private(set) var count = 0
  /// The largest `x` of late: what lies far beyond it was never measured.
  package private(set) var reach = 0.0
  private var (weight, sumX, sumY, sumXX, sumXY) = (0.0, 0.0, 0.0, 0.0, 0.0)

  package init() {}

  package mutating func add(x: Double, y: Double) {
    count += 1
    reach = max(x, reach * Self.decay)
    weight = weight * Self.decay + 1
    sumX = sumX * Self.decay + x
    sumY = sumY * Self.decay + y
    sumXX = sumXX * Self.decay + x * x
    sumXY = sumXY * Self.decay + x * y
  }

  /// Of samples that hardly differ in `x`, the line through the origin: work grows with the prompt.
  package var line: (base: Double, slope: Double) {
    guard weight > 0, sumX > 0 else { return (weight > 0 ? sumY / weight : 0, 0) }
    let (meanX, meanY) = (sumX / weight, sumY / weight)
    let variance = sumXX / weight - meanX * meanX
    guard variance > 0.01 * meanX * meanX else { return (0, meanY / meanX) }
    let slope = (sumXY / weight - meanX * meanY) / variance
    if slope <= 0 { return (meanY, 0) }
    let base = meanY - slope * meanX
    return base >= 0 ? (base, slope) : (0, sumXY / sumXX)
  }
}
