/// A quantity over the run's time, in bins of equal width.
struct LoadChart {
  let title: String
  let caption: String
  /// One value a bin, at least one bin.
  let values: [Double]
  /// Seconds.
  let binWidth: Double
  /// Of the whole run, seconds: the axis' end.
  let duration: Double
  /// The number of its colour.
  let series: Int

  private static let height = 150.0

  var markup: Markup {
    let plot = Plot(
      x: Axis(upTo: duration, from: TimelineChart.left, to: TimelineChart.right, ticks: 10),
      y: Axis(upTo: values.max() ?? 1, from: Self.height - 24, to: 10, ticks: 3), xLabel: Quantity.time, xTicks: 10,
      yTicks: 3)
    let area: Markup = "<path class=\"area\" d=\"\(plot.steps(values, width: binWidth))\"/>"
    return Figure(
      title: title, caption: caption, width: TimelineChart.width, height: Self.height,
      content: "\(plot.frame)<g class=\"series\(series)\">\(area)</g>"
    ).markup
  }
}
