/// A run as its page shows it: made from raw results alone, so that a page can be made again at any time.
package struct RunReport: Sendable {
  package let header: RunHeader
  package let summary: RunSummary
  let charts: RunCharts

  /// Reads the file twice: bins and samples need the run's length and size.
  package init(_ file: RecordFile) throws {
    header = file.header
    summary = try RunSummary(file)
    var charts = RunCharts(total: summary.requests, duration: summary.duration)
    try file.forEach { charts.add($0) }
    self.charts = charts
  }

  package init(header: RunHeader, records: some Sequence<RequestRecord>) {
    self.header = header
    summary = RunSummary(records, header: header)
    var charts = RunCharts(total: summary.requests, duration: summary.duration)
    for record in records { charts.add(record) }
    self.charts = charts
  }
}

extension RunSummary {
  /// All requests of the run, however they ended.
  var requests: Int { completed + failed + cancelled }
}
