/// What a run's page draws, gathered from its records one by one: memory grows with the requests, not with their
/// chunks.
struct RunCharts: Sendable {
  private(set) var ttft = MicrosecondCounts()
  private(set) var itl = MicrosecondCounts()
  private(set) var e2el = MicrosecondCounts()
  /// TTFT of the first and of the last third of the requests: whether waits grew.
  private(set) var earlyTTFT: [Double] = []
  private(set) var lateTTFT: [Double] = []
  private(set) var load: LoadCurves
  private var rows: [(index: Int, row: TimelineRow)] = []
  private let total: Int
  private let duration: Double

  /// - Parameters:
  ///   - total: Records that will come; their indices are below it.
  ///   - duration: The run's, in seconds.
  init(total: Int, duration: Double) {
    self.total = total
    self.duration = duration
    load = LoadCurves(duration: duration)
  }

  mutating func add(_ record: RequestRecord) {
    load.add(record)
    if record.index % stride == 0 { rows.append((record.index, TimelineRow(record))) }
    guard record.outcome == .ok, !record.isSlowReader, let first = record.timeToFirstToken,
      let latency = record.endToEndLatency
    else { return }
    ttft.add(seconds: first)
    e2el.add(seconds: latency)
    for (earlier, later) in zip(record.chunkTimes, record.chunkTimes.dropFirst()) { itl.add(seconds: later - earlier) }
    if record.index < total / 3 { earlyTTFT.append(first) }
    if record.index >= total - total / 3 { lateTTFT.append(first) }
  }

  /// Every how many-th request the timeline shows.
  private var stride: Int { max(1, (total + TimelineChart.limit - 1) / TimelineChart.limit) }

  private var sample: [TimelineRow] { rows.sorted { $0.index < $1.index }.map(\.row) }

  /// Requests over the run's time, and each from its own schedule: the one shows what happened when, the other where
  /// each request's time went.
  var timelines: Markup {
    let shifted = sample.map(\.fromSchedule)
    let longest = shifted.compactMap(\.spans.last?.end).max() ?? 0
    let charts = [
      TimelineChart(
        title: "Timeline", xName: "time since the run's start", rows: sample, total: total, duration: duration),
      TimelineChart(
        title: "Where each request's time went", xName: "time since its schedule", rows: shifted, total: total,
        duration: longest),
    ]
    return "\(PhaseLegend(rows: sample).markup)\(charts.map(\.markup))"
  }
}
