/// Takes the records of a run as they end and makes the counted. Holds a few numbers a request, none a chunk.
package struct RunSummaryBuilder: Sendable {
  private let reported: ReportedFigures
  private let traffic: RunHeader.Traffic
  /// The counts; rates and latencies come in `summary()`.
  private var counted = RunSummary()
  private var timeToFirstToken: [Double] = []
  private var timePerToken: [Double] = []
  private var interTokenLatency = MicrosecondCounts()
  private var endToEnd: [Double] = []
  private var queueTimes: [Double] = []
  private var fromSchedule: [Double] = []
  private var lags = MicrosecondCounts()
  private var good = 0
  private var activity = Activity()
  private var eachRequest: [(index: Int, latency: Double, queueTime: Double)] = []

  package init(_ header: RunHeader) {
    reported = header.reported
    traffic = header.traffic
  }

  package mutating func add(_ record: RequestRecord) {
    counted.duration = max(counted.duration, record.finished)
    eachRequest.append((record.index, record.endToEndLatency ?? 0, record.clientQueueTime ?? 0))
    if let lag = record.clientLag { lags.add(seconds: lag) }
    switch record.outcome {
    case .ok: addCompleted(record)
    case .cancelled: counted.cancelled += 1
    case .http, .connect, .timeout, .broken, .errorEvent: addFailed(record)
    }
  }

  private mutating func addCompleted(_ record: RequestRecord) {
    counted.completed += 1
    let outputTokens = record.outputTokens ?? record.chunkTimes.count
    counted.inputTokens += record.promptTokens ?? 0
    counted.outputTokens += outputTokens
    counted.tokenSources[record.tokenSource ?? .chunks, default: 0] += 1
    activity.add(record)
    guard !record.isSlowReader, let ttft = record.timeToFirstToken, let latency = record.endToEndLatency else { return }
    timeToFirstToken.append(ttft)
    endToEnd.append(latency)
    queueTimes.append(record.clientQueueTime ?? 0)
    fromSchedule.append(latency + record.due - record.scheduled)
    let tpot = outputTokens > 1 ? (latency - ttft) / Double(outputTokens - 1) : nil
    if let tpot { timePerToken.append(tpot) }
    for (earlier, later) in zip(record.chunkTimes, record.chunkTimes.dropFirst()) {
      interTokenLatency.add(seconds: later - earlier)
    }
    let isGood = reported.objectives.allSatisfy { objective in
      let value = objective.metric == .ttft ? ttft : objective.metric == .tpot ? tpot ?? 0 : latency
      return value <= objective.milliseconds / 1000
    }
    if isGood { good += 1 }
  }

  private mutating func addFailed(_ record: RequestRecord) {
    counted.failed += 1
    let status = record.outcome == .http ? record.status : nil
    if let place = counted.failures.firstIndex(where: { $0.outcome == record.outcome && $0.status == status }) {
      counted.failures[place].count += 1
    } else {
      counted.failures.append(
        RunSummary.Failure(outcome: record.outcome, status: status, count: 1, firstError: record.error))
    }
  }

  package func summary() -> RunSummary {
    var summary = counted
    let seconds = summary.duration
    func rate(_ count: Int) -> Double { seconds > 0 ? Double(count) / seconds : 0 }
    summary.requestThroughput = rate(summary.completed)
    summary.outputThroughput = rate(summary.outputTokens)
    summary.totalTokenThroughput = rate(summary.inputTokens + summary.outputTokens)
    if !reported.objectives.isEmpty {
      summary.good = good
      summary.requestGoodput = rate(good)
    }
    summary.peakOutputTokensPerSecond = Double(activity.peakChunksPerSecond)
    summary.peakConcurrentRequests = activity.peakConcurrency
    summary.latencies = latencies()
    summary.clientLag = LatencySummary(lags, percentiles: [99])
    let ordered = eachRequest.sorted { $0.index < $1.index }
    summary.latencyOfEachRequest = ordered.map(\.latency)
    summary.queueTimeOfEachRequest = ordered.map(\.queueTime)
    let order = RequestRecord.Outcome.allCases
    summary.failures.sort {
      (order.firstIndex(of: $0.outcome)!, $0.status ?? 0) < (order.firstIndex(of: $1.outcome)!, $1.status ?? 0)
    }
    return summary
  }

  private func latencies() -> [LatencyMetric: LatencySummary] {
    func summarize(_ seconds: [Double]) -> LatencySummary {
      LatencySummary(seconds: seconds, percentiles: reported.percentiles)
    }
    var latencies: [LatencyMetric: LatencySummary] = [
      .ttft: summarize(timeToFirstToken), .tpot: summarize(timePerToken), .e2el: summarize(endToEnd),
      .itl: LatencySummary(interTokenLatency, percentiles: reported.percentiles),
    ]
    // Without a limit on concurrency nothing queues at the client, and without a rate no schedule tells how long.
    if traffic.maxConcurrency != nil {
      latencies[.clientQueueTime] = summarize(queueTimes)
      if !traffic.isAllAtOnce { latencies[.e2elIncludingClientQueue] = summarize(fromSchedule) }
    }
    return latencies
  }
}
