/// Several runs beside each other, a row each: what a README tells of them.
package struct RunOverview {
  private let runs: [RunReport]

  package init(_ runs: [RunReport]) { self.runs = runs }

  package static let columns = [
    "run", "requests", "failed", "req/s", "TTFT median", "TTFT P99", "TPOT median", "TPOT P99", "output tok/s",
  ]

  /// In the order of `columns`.
  package static func cells(_ run: RunReport) -> [String] {
    let summary = run.summary
    return [run.name, Quantity.count(summary.requests), Quantity.count(summary.failed)]
      + [Quantity.digits(summary.requestThroughput)] + summary.times(.ttft) + summary.times(.tpot)
      + [Quantity.digits(summary.outputThroughput)]
  }

  /// A Markdown table.
  package var text: String { TextTable(head: Self.columns, rows: runs.map(Self.cells)).text }

  var markup: Markup {
    DataTable(head: Self.columns, rows: runs.map { DataTable.Row(cells: Self.cells($0)) }).markup
  }
}

extension RunReport {
  /// The label that the user gave, else the model, else where requests went.
  var name: String { header.label ?? (header.model.isEmpty ? header.target : header.model) }
}

extension RunSummary {
  /// Median and P99, as texts; dashes for what was not measured.
  func times(_ metric: LatencyMetric) -> [String] {
    guard let latency = latencies[metric], latency.count > 0 else { return ["–", "–"] }
    let last = latency.percentiles.first { $0.rank == 99 }?.milliseconds
    return [Quantity.time(latency.median / 1000), last.map { Quantity.time($0 / 1000) } ?? "–"]
  }
}
