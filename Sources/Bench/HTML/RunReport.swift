/// A run as its page shows it: made from raw results alone, so that a page can be made again at any time.
package struct RunReport: Sendable {
  package let header: RunHeader
  package let summary: RunSummary
  let charts: RunCharts

  /// Reads the file twice: bins and samples need the run's length and size.
  ///
  /// - Parameter change: What to judge otherwise than the run did, say by another SLO.
  package init(_ file: RecordFile, change: (inout RunHeader) -> Void = { _ in }) throws {
    var header = file.header
    change(&header)
    var builder = RunSummaryBuilder(header)
    try file.forEach { builder.add($0) }
    let summary = builder.summary()
    var charts = RunCharts(total: summary.requests, duration: summary.duration)
    try file.forEach { charts.add($0) }
    self.header = header
    self.summary = summary
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
