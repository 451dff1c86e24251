/// A figure against the request rate: a dot for each point that was measured.
struct CurveChart {
  struct Curve {
    let name: String
    /// By rate, ascending.
    let points: [(rate: Double, value: Double, isMissed: Bool)]
  }

  private static let width = DistributionChart.width
  private static let height = 236.0

  let title: String
  let curves: [Curve]
  let label: @Sendable (Double) -> String
  /// The axis' end, where it is fixed.
  var limit: Double?
  /// A line that points should keep above or below.
  var goal: Double?

  var markup: Markup {
    let rates = curves.flatMap { $0.points.map(\.rate) }
    guard let low = rates.min(), let high = rates.max() else {
      return EmptyFigure(title: title, reason: "No point was measured.").markup
    }
    let highest = max(curves.flatMap { $0.points.map(\.value) }.max() ?? 1, goal ?? 0)
    let plot = Plot(
      x: Axis(.logarithmic, low * 0.9, high * 1.1, from: 52, to: Self.width - 18),
      y: Axis(upTo: limit ?? highest, from: Self.height - 38, to: 12), xName: "req/s asked", yLabel: label)
    let goal = goal.map { goal -> Markup in
      let y = plot.y.position(goal)
      return "<path class=\"goal\" d=\"M\(plot.x.start) \(y)H\(plot.x.end)\"/>"
    }
    return Figure(
      title: title, caption: curves.map(\.name).joined(separator: ", "), width: Self.width, height: Self.height,
      content:
        "\(plot.frame)\(goal ?? "")\(curves.enumerated().map { Self.curve($0.element, number: $0.offset, plot) })"
    ).markup
  }

  private static func curve(_ curve: Curve, number: Int, _ plot: Plot) -> Markup {
    let dots: [Markup] = curve.points.map { point in
      """
      <g class="\(point.isMissed ? "missed" : "kept")"><circle cx="\(plot.x.position(point.rate))" \
      cy="\(plot.y.position(point.value))" r="4"><title>\(Quantity.digits(point.rate)) req/s</title></circle></g>
      """
    }
    let line = plot.line(curve.points.map { ($0.rate, $0.value) })
    return "<g class=\"series\(number)\"><path class=\"line\" d=\"\(line)\"/>\(dots)</g>"
  }
}
