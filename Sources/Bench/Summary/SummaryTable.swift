import Foundation

/// The table that `vllm bench serve` prints, to the byte: lines, order and widths. Scripts read it.
package struct SummaryTable {
  private let summary: RunSummary
  private let header: RunHeader

  package init(_ summary: RunSummary, header: RunHeader) {
    self.summary = summary
    self.header = header
  }

  package var text: String {
    var lines = [Self.heading(" Serving Benchmark Result ", "=")]
    lines += traffic + throughput
    for metric in LatencyMetric.allCases where header.reported.metrics.contains(metric) {
      if let latency = summary.latencies[metric] { lines += Self.section(metric, latency) }
    }
    lines.append(String(repeating: "=", count: Self.width))
    return lines.joined(separator: "\n") + "\n"
  }

  private static let width = 50

  private var traffic: [String] {
    var lines = [
      Self.line("Successful requests:", "\(summary.completed)"), Self.line("Failed requests:", "\(summary.failed)"),
    ]
    if let limit = header.traffic.maxConcurrency {
      lines.append(Self.line("Maximum request concurrency:", "\(limit)"))
    }
    if let rate = header.traffic.requestRate {
      lines.append(Self.line("Request rate configured (RPS):", Self.number(rate)))
    }
    return lines
  }

  private var throughput: [String] {
    var lines = [
      Self.line("Benchmark duration (s):", Self.number(summary.duration)),
      Self.line("Total input tokens:", "\(summary.inputTokens)"),
      Self.line("Total generated tokens:", "\(summary.outputTokens)"),
      Self.line("Request throughput (req/s):", Self.number(summary.requestThroughput)),
    ]
    if let goodput = summary.requestGoodput {
      lines.append(Self.line("Request goodput (req/s):", Self.number(goodput)))
    }
    lines += [
      Self.line("Output token throughput (tok/s):", Self.number(summary.outputThroughput)),
      Self.line("Peak output token throughput (tok/s):", Self.number(summary.peakOutputTokensPerSecond)),
      Self.line("Peak concurrent requests:", Self.number(Double(summary.peakConcurrentRequests))),
      Self.line("Total token throughput (tok/s):", Self.number(summary.totalTokenThroughput)),
    ]
    return lines
  }

  private static func section(_ metric: LatencyMetric, _ latency: LatencySummary) -> [String] {
    let name = metric.name
    return [
      heading(metric.heading, "-"), line("Mean \(name) (ms):", number(latency.mean)),
      line("Median \(name) (ms):", number(latency.median)),
    ]
      + latency.percentiles.map { line("P\(rankWord($0.rank)) \(name) (ms):", number($0.milliseconds)) }
  }

  /// In the middle of a line of `filler`; what cannot be halved goes to the right, as Python's `^` has it.
  private static func heading(_ text: String, _ filler: Character) -> String {
    let space = max(0, width - text.count)
    return String(repeating: filler, count: space / 2) + text + String(repeating: filler, count: space - space / 2)
  }

  private static func line(_ label: String, _ value: String) -> String { pad(label, 40) + " " + pad(value, 10) }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func number(_ value: Double) -> String { String(format: "%.2f", value) }
}

/// 99 for 99.0, 99.9 for 99.9: in the table and in the JSON's keys.
func rankWord(_ rank: Double) -> String { Int(exactly: rank).map(String.init) ?? "\(rank)" }
