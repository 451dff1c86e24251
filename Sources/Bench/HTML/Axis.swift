import Glibc

/// Values to pixels along one side of a chart, with ticks at round values.
package struct Axis: Equatable, Sendable {
  package enum Scale: Equatable, Sendable {
    case linear
    /// Only for positive values.
    case logarithmic
  }

  let scale: Scale
  /// Lowest and highest value; they differ, and are finite.
  let low: Double
  let high: Double
  /// Where `low` and `high` lie, in pixels; `start` is below `end` on a vertical axis, so larger.
  let start: Double
  let end: Double

  /// From 0 to a round value at or above `limit` when that costs little, else to `limit`.
  package init(upTo limit: Double, from start: Double, to end: Double, ticks: Int = 5) {
    let limit = limit.isFinite && limit > 0 ? limit : 1
    let step = Self.step(for: limit, count: ticks)
    let round = (limit / step).rounded(.up) * step
    self.init(.linear, 0, round <= limit * 1.06 ? round : limit, from: start, to: end)
  }

  package init(_ scale: Scale, _ low: Double, _ high: Double, from start: Double, to end: Double) {
    self.scale = scale
    self.low = low
    self.high = high > low ? high : low + 1
    self.start = start
    self.end = end
  }

  /// In pixels; values outside lie on the border.
  package func position(_ value: Double) -> Double {
    guard value.isFinite else { return value > 0 ? end : start }
    let share =
      switch scale {
      case .linear: (value - low) / (high - low)
      case .logarithmic: value <= low ? 0 : log(value / low) / log(high / low)
      }
    return start + min(max(share, 0), 1) * (end - start)
  }

  /// Round values within the axis, ascending: about `count` on a linear axis.
  package func ticks(_ count: Int = 5) -> [Double] {
    switch scale {
    case .linear: return linearTicks(count)
    case .logarithmic:
      let decades = log10(high / low)
      return decades < 0.7 ? linearTicks(count) : logarithmicTicks(decades)
    }
  }

  private func linearTicks(_ count: Int) -> [Double] {
    let step = Self.step(for: high - low, count: count)
    let first = (low / step * (1 - 1e-12)).rounded(.up)
    return stride(from: first, through: (high / step * (1 + 1e-12)).rounded(.down), by: 1).map { $0 * step }
  }

  private func logarithmicTicks(_ decades: Double) -> [Double] {
    let mantissas: [Double] = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 5]
    var ticks: [Double] = []
    for exponent in Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up)) {
      for mantissa in mantissas {
        let value = mantissa * pow(10, Double(exponent))
        if value >= low * 0.999_999, value <= high * 1.000_001 { ticks.append(value) }
      }
    }
    return ticks
  }

  /// 1, 2 or 5 times a power of ten, so that about `count` steps make `length`.
  static func step(for length: Double, count: Int) -> Double {
    let rough = length / Double(max(count, 1))
    let power = pow(10, log10(rough).rounded(.down))
    let mantissa = rough / power
    return power * (mantissa <= 1.5 ? 1 : mantissa <= 3.5 ? 2 : mantissa <= 7.5 ? 5 : 10)
  }
}
