/// One row a request, in the order of their scheduled times.
struct TimelineChart {
  static let width = 1060.0
  /// Left and right borders of all charts over the run's time, so that they stand under each other.
  static let left = 52.0
  static let right = width - 22
  /// Rows that are drawn at most.
  static let limit = 320
  private static let top = 10.0

  let title: String
  let xName: String
  /// Those that are drawn.
  let rows: [TimelineRow]
  /// How many there were.
  let total: Int
  /// The axis' end, seconds.
  let duration: Double

  var markup: Markup {
    let plot = Plot(
      x: Axis(upTo: duration, from: Self.left, to: Self.right, ticks: 10),
      y: Axis(.linear, 0, 1, from: Self.top + rowHeight * Double(rows.count), to: Self.top), xName: xName,
      xLabel: Quantity.time, xTicks: 10, yTicks: 0)
    let phases = TimelineRow.Phase.allCases.map { path(of: $0, plot: plot) }
    let hits = rows.enumerated().map { hit($0.offset, $0.element, plot: plot) }
    return Figure(
      title: title, caption: caption, width: Self.width, height: plot.y.start + 38,
      content: "\(plot.frame)\(phases)<g class=\"hits\">\(hits)</g>"
    ).markup
  }

  private var rowHeight: Double { min(max(400 / Double(max(rows.count, 1)), 1.4), 14) }

  private var caption: String {
    guard rows.count < total else { return "One row a request, by scheduled time." }
    return "One row a request, by scheduled time: \(Quantity.count(rows.count)) of \(Quantity.count(total)), evenly "
      + "picked. The other figures count all."
  }

  /// All spans of a phase as one path: thousands of rectangles are slow to draw.
  private func path(of phase: TimelineRow.Phase, plot: Plot) -> Markup {
    var path = ""
    for (index, row) in rows.enumerated() {
      for span in row.spans where span.phase == phase {
        let (left, right) = (plot.x.position(span.start), plot.x.position(span.end))
        let top = Markup.coordinate(Self.top + Double(index) * rowHeight)
        // A span that is too short to see is still there.
        path += "M\(Markup.coordinate(left)) \(top)h\(Markup.coordinate(max(right - left, 0.3)))"
        path += "v\(Markup.coordinate(rowHeight * 0.85))H\(Markup.coordinate(left))z"
      }
    }
    return path.isEmpty ? "" : "<path class=\"\(phase.rawValue)\" d=\"\(path)\"/>"
  }

  private func hit(_ index: Int, _ row: TimelineRow, plot: Plot) -> Markup {
    guard let start = row.spans.first?.start, let end = row.spans.last?.end else { return "" }
    let (left, right) = (plot.x.position(start), plot.x.position(end))
    return """
      <rect x="\(left)" y="\(Self.top + Double(index) * rowHeight)" width="\(max(right - left, 2))" \
      height="\(rowHeight)"><title>\(row.detail)</title></rect>
      """
  }
}

/// The colours of the phases that some row has.
struct PhaseLegend {
  let rows: [TimelineRow]

  var markup: Markup {
    let there = TimelineRow.Phase.allCases.filter { phase in rows.contains { $0.spans.contains { $0.phase == phase } } }
    let items: [Markup] = there.map { "<span><i class=\"\($0.rawValue)\"></i>\($0.name)</span>" }
    return "<p class=\"legend\">\(items)</p>\n"
  }
}
