/// Each figure's ratio of B to A with its interval; what touches the line at 1 does not differ, or cannot be told.
struct RatioChart {
  let comparison: Comparison

  private static let width = TimelineChart.width
  private static let rowHeight = 34.0
  private static let top = 12.0

  var markup: Markup {
    let rows = comparison.rows
    guard !rows.isEmpty else { return EmptyFigure(title: "B / A", reason: "No request was answered.").markup }
    let bottom = Self.top + Self.rowHeight * Double(rows.count)
    // As far below 1 as above it, so that the line stands in the middle; intervals that go further are cut.
    let furthest =
      rows.flatMap { [$0.estimate.range.lowerBound, $0.estimate.range.upperBound, $0.estimate.ratio] }
      .map { max($0, 1 / $0) }.max() ?? 1
    let reach = min(max(furthest * 1.25, 1.25), 1000)
    let plot = Plot(
      x: Axis(.logarithmic, 1 / reach, reach, from: 170, to: Self.width - 190),
      y: Axis(.linear, 0, 1, from: bottom, to: Self.top), xName: "B / A", xLabel: { "\(Quantity.digits($0))×" },
      yTicks: 0)
    let one = plot.x.position(1)
    let marks = rows.enumerated().map {
      row($0.element, y: Self.top + Self.rowHeight * (Double($0.offset) + 0.5), plot)
    }
    return Figure(
      title: "B / A", caption: "Dot: geometric mean over the rounds. Bar: 99 % interval. Ticks: each round.",
      width: Self.width, height: bottom + 40,
      content: "\(plot.frame)<path class=\"goal\" d=\"M\(one) \(Self.top)V\(bottom)\"/>\(marks)"
    ).markup
  }

  private func row(_ row: Comparison.Row, y: Double, _ plot: Plot) -> Markup {
    let estimate = row.estimate
    let bar = estimate.interval.map { interval -> Markup in
      let (left, right) = (plot.x.position(interval.lowerBound), plot.x.position(interval.upperBound))
      return "<path class=\"line\" d=\"M\(left) \(y)H\(right)\"/>"
    }
    let ticks: [Markup] = comparison.ratios(of: row.figure).map {
      "<path class=\"line tick\" d=\"M\(plot.x.position($0)) \(y - 5)v10\"/>"
    }
    let word = row.isBetter.map { $0 ? "better" : "worse" } ?? (row.isUnclear ? "unclear" : "no difference")
    return """
      <text x="0" y="\(y + 4)">\(row.figure.name)</text>\
      <g class="\(row.isBetter.map { $0 ? "better" : "worse" } ?? "same")">\(bar ?? "")\(ticks)\
      <circle cx="\(plot.x.position(estimate.ratio))" cy="\(y)" r="5"/>\
      <text class="word" x="\(plot.x.end + 12)" y="\(y + 4)">\(Quantity.fixed(estimate.ratio, 2))× · \(word)</text></g>
      """
  }
}

extension Comparison {
  /// B / A of each round that has both.
  func ratios(of figure: ComparedFigure) -> [Double] {
    rounds.compactMap { round in
      guard let a = round.a.figures[figure], let b = round.b.figures[figure], a > 0, b > 0 else { return nil }
      return b / a
    }
  }
}
