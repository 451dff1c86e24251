/// The example's statistics block, to the byte.
package struct TTFTReport: Sendable {
  package struct Summary: Sendable, Equatable {
    package var count: Int
    /// In milliseconds.
    package var average: Double
    package var median: Double
    package var p99: Double
  }

  package let requests: Int
  /// One for each prefiller; nil if nothing ran on it yet.
  package let prefillers: [Summary?]

  /// - Parameter milliseconds: The samples of each prefiller, in any order.
  package init(requests: Int, milliseconds: [[Double]]) {
    self.requests = requests
    prefillers = milliseconds.map { samples in
      guard !samples.isEmpty else { return nil }
      let sorted = samples.sorted()
      return Summary(
        count: sorted.count, average: sorted.reduce(0, +) / Double(sorted.count),
        median: Self.percentile(0.5, of: sorted), p99: Self.percentile(0.99, of: sorted))
    }
  }

  /// As the example's page prints it; a prefiller without requests is left out.
  package var text: String {
    let rule = String(repeating: "=", count: 31)
    var lines = [rule, "Num requests: \(requests)"]
    for (index, summary) in prefillers.enumerated() {
      guard let summary else { continue }
      lines.append("Prefiller \(index + 1) TTFT stats:")
      lines.append(" - Average (ms): \(Self.oneDecimal(summary.average))")
      lines.append(" - Median (ms): \(Self.oneDecimal(summary.median))")
      lines.append(" - 99th Percentile (ms): \(Self.oneDecimal(summary.p99))")
    }
    lines.append(rule)
    return lines.joined(separator: "\n") + "\n"
  }

  /// Linear between the two nearest ranks, as numpy's.
  private static func percentile(_ fraction: Double, of sorted: [Double]) -> Double {
    let place = fraction * Double(sorted.count - 1)
    let lower = Int(place.rounded(.down))
    let upper = min(lower + 1, sorted.count - 1)
    return sorted[lower] + (sorted[upper] - sorted[lower]) * (place - Double(lower))
  }

  private static func oneDecimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
