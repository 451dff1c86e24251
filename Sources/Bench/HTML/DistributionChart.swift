/// Times of one kind, as the share of them that is at most x, with percentiles marked. The curve goes through the same
/// interpolated percentiles as the tables tell.
struct DistributionChart {
  struct Series {
    /// Empty where the chart has one series only.
    let name: String
    let counts: MicrosecondCounts
  }

  static let width = 344.0
  private static let height = 236.0
  private static let left = 46.0
  private static let marks = [50.0, 90, 99]

  let title: String
  let series: [Series]

  var markup: Markup {
    let curves = series.enumerated().compactMap { number, series in Curve(series, number: number) }
    guard !curves.isEmpty else { return EmptyFigure(title: title, reason: "No request got so far.").markup }
    let plot = Plot(
      x: Self.axis(curves), y: Axis(.linear, 0, 1, from: Self.height - 24, to: 12), xLabel: Quantity.time,
      yLabel: { Quantity.share($0) }, xTicks: 4, yTicks: 4)
    // Labels stand outside: to the left of the left curve, to the right of any other.
    let first = curves.count > 1 ? curves.min { $0.value(at: 50) < $1.value(at: 50) }?.number : nil
    let scale = plot.x.scale == .logarithmic ? " (logarithmic axis)" : ""
    return Figure(
      title: title, caption: curves.map(\.caption).joined(separator: "; ") + scale, width: Self.width,
      height: Self.height, content: "\(plot.frame)\(curves.map { $0.markup(in: plot, isLeft: $0.number == first) })"
    ).markup
  }

  /// Logarithmic when the slowest took more than eight times the median: else the tail would press all others to the
  /// left.
  private static func axis(_ curves: [Curve]) -> Axis {
    let low = curves.map { $0.value(at: 1) }.min() ?? 0
    let high = curves.map { $0.value(at: 100) }.max() ?? 1
    let median = curves.map { $0.value(at: 50) }.min() ?? 0
    guard low > 0, high > 8 * median else { return Axis(upTo: high, from: left, to: width - 22, ticks: 4) }
    return Axis(.logarithmic, low * 0.9, high * 1.05, from: left, to: width - 22)
  }

  /// Which percentiles a curve is drawn through: every half percent, and finer in the tail.
  private static let ranks: [Double] = {
    let body = stride(from: 0.0, to: 95, by: 0.5)
    let tail = stride(from: 95.0, to: 99, by: 0.1)
    let end = (0...100).map { 99 + Double($0) / 100 }
    return Array(body) + Array(tail) + end
  }()

  private struct Curve {
    let number: Int
    private let name: String
    private let count: Int
    private let percentiles: [LatencySummary.Percentile]

    init?(_ series: Series, number: Int) {
      guard series.counts.count > 0 else { return nil }
      self.number = number
      name = series.name
      count = series.counts.count
      percentiles = LatencySummary(series.counts, percentiles: DistributionChart.ranks).percentiles
    }

    /// `P50 278 ms, P90 372 ms, P99 450 ms of 286`
    var caption: String {
      let marks = DistributionChart.marks.map { "P\(Int($0)) \(Quantity.time(value(at: $0)))" }
      return (name.isEmpty ? "" : "\(name): ") + marks.joined(separator: ", ") + " of \(Quantity.count(count))"
    }

    /// Seconds.
    func value(at rank: Double) -> Double {
      let place = percentiles.firstIndex { $0.rank >= rank - 1e-6 } ?? percentiles.count - 1
      return percentiles[place].milliseconds / 1000
    }

    func markup(in plot: Plot, isLeft: Bool) -> Markup {
      let line = plot.line(percentiles.map { ($0.milliseconds / 1000, $0.rank / 100) })
      let dots = DistributionChart.marks.map { dot($0, in: plot, isLeft: isLeft) }
      return "<g class=\"series\(number)\"><path class=\"line\" d=\"\(line)\"/>\(dots)</g>"
    }

    private func dot(_ rank: Double, in plot: Plot, isLeft: Bool) -> Markup {
      let (x, y) = (plot.x.position(value(at: rank)), plot.y.position(rank / 100))
      let isLeft = isLeft && x > plot.x.start + 36 || x > plot.x.end - 36
      return """
        <circle cx="\(x)" cy="\(y)" r="3.5"/>\
        <text class="mark" x="\(isLeft ? x - 7 : x + 7)" y="\(y + 12)" text-anchor="\(isLeft ? "end" : "start")">\
        P\(Int(rank))</text>
        """
    }
  }
}
