/// Every figure of a run that vLLM's table and JSON tell, and what they leave out.
package struct RunSummary: Sendable, Equatable {
  package var completed = 0
  package var failed = 0
  /// Clients that left on purpose: neither completed nor failed.
  package var cancelled = 0
  /// By kind, in the order of `RequestRecord.Outcome`.
  package var failures: [Failure] = []
  /// Seconds from the run's start to the end of its last request.
  package var duration = 0.0
  package var inputTokens = 0
  package var outputTokens = 0
  /// Completed requests/s.
  package var requestThroughput = 0.0
  /// Completed requests that kept every objective, and their rate; nil if no objective was set.
  package var good: Int?
  package var requestGoodput: Double?
  /// Tokens/s.
  package var outputThroughput = 0.0
  package var totalTokenThroughput = 0.0
  /// Chunks in the best of the run's seconds.
  package var peakOutputTokensPerSecond = 0.0
  package var peakConcurrentRequests = 0
  /// One for each metric, whatever is reported, but where the run has no such figure.
  package var latencies: [LatencyMetric: LatencySummary] = [:]
  /// By how much the client sent late.
  package var clientLag = LatencySummary(seconds: [], percentiles: [99])
  /// How many completed requests' output tokens were counted by whom.
  package var tokenSources: [RequestRecord.TokenSource: Int] = [:]
  /// In the order of the workload, with 0 for a request that did not get so far: vLLM's `latencies` and `queue_times`.
  package var latencyOfEachRequest: [Double] = []
  package var queueTimeOfEachRequest: [Double] = []

  package init() {}

  /// All requests of one kind that failed.
  package struct Failure: Sendable, Equatable {
    package var outcome: RequestRecord.Outcome
    /// By status where the outcome is `http`.
    package var status: Int?
    package var count: Int
    /// Of the first that failed so.
    package var firstError: String?
  }

  /// Requests that were answered or failed: all but those whose client left on purpose.
  package var attempted: Int { completed + failed }

  /// The share of the requests that kept every objective; a failed one did not. nil if no objective was set.
  package var attainment: Double? {
    good.map { attempted == 0 ? 0 : Double($0) / Double(attempted) }
  }
}

extension RunSummary {
  package init(_ records: some Sequence<RequestRecord>, header: RunHeader) {
    var builder = RunSummaryBuilder(header)
    for record in records { builder.add(record) }
    self = builder.summary()
  }

  /// Reads the records of a raw file one by one.
  package init(_ file: RecordFile) throws {
    var builder = RunSummaryBuilder(file.header)
    try file.forEach { builder.add($0) }
    self = builder.summary()
  }
}
