/// The frame of a chart: two axes, their ticks, grid lines and names. Marks are drawn into it by the caller.
struct Plot: Sendable {
  let x: Axis
  let y: Axis
  var xName = ""
  var yName = ""
  /// The text at a tick.
  var xLabel: @Sendable (Double) -> String = Quantity.digits
  var yLabel: @Sendable (Double) -> String = Quantity.digits
  var xTicks = 5
  /// About so many; none for rows that have no value.
  var yTicks = 4

  /// Grid and labels, to be drawn below the marks.
  var frame: Markup {
    """
    <g class="grid">\(x.ticks(xTicks).map(vertical))\(yTicks > 0 ? y.ticks(yTicks).map(horizontal) : [])</g>\
    <text class="name" x="\(x.end)" y="\(y.start + 32)" text-anchor="end">\(xName)</text>\
    <text class="name" x="\(x.start)" y="\(y.end - 8)">\(yName)</text>
    """
  }

  private func vertical(_ value: Double) -> Markup {
    let place = x.position(value)
    return """
      <path d="M\(place) \(y.end)V\(y.start + 4)"/>\
      <text x="\(place)" y="\(y.start + 16)" text-anchor="middle">\(xLabel(value))</text>
      """
  }

  private func horizontal(_ value: Double) -> Markup {
    let place = y.position(value)
    return """
      <path d="M\(x.start) \(place)H\(x.end)"/>\
      <text x="\(x.start - 6)" y="\(place + 4)" text-anchor="end">\(yLabel(value))</text>
      """
  }

  /// A path through points, in the order given. Values outside the axes lie on their borders.
  func line(_ points: some Sequence<(Double, Double)>) -> String {
    var path = ""
    for (horizontal, vertical) in points {
      path += path.isEmpty ? "M" : "L"
      path += "\(Markup.coordinate(x.position(horizontal))) \(Markup.coordinate(y.position(vertical)))"
    }
    return path
  }

  /// Steps: each value holds from its left border to the next one's. Closed down to zero, to be filled.
  func steps(_ values: [Double], width: Double) -> String {
    guard !values.isEmpty else { return "" }
    let x0 = Markup.coordinate(x.position(0)), floor = Markup.coordinate(y.position(0))
    var path = "M\(x0) \(floor)"
    for (index, value) in values.enumerated() {
      path += "V\(Markup.coordinate(y.position(value)))H\(Markup.coordinate(x.position(Double(index + 1) * width)))"
    }
    return path + "V\(floor)Z"
  }
}

/// A picture of a given size in pixels, which shrinks with the page, under a heading.
struct Figure {
  let title: String
  /// What it shows and what it leaves out, in a sentence.
  let caption: String
  let width: Double
  let height: Double
  let content: Markup

  var markup: Markup {
    """
    <figure><figcaption><b>\(title)</b> \(caption)</figcaption>
    <svg viewBox="0 0 \(width) \(height)" role="img" aria-label="\(title)">\(content)</svg></figure>

    """
  }
}

/// Stands where a picture has nothing to show.
struct EmptyFigure {
  let title: String
  let reason: String

  var markup: Markup { "<figure><figcaption><b>\(title)</b> \(reason)</figcaption></figure>\n" }
}
