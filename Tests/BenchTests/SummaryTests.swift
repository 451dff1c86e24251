import Bench
import ServingAPI
import Testing

struct SummaryTests {
  /// numpy.percentile([1, 2, 3, 10], p), linear.
  @Test(arguments: [(0.0, 1.0), (25, 1.75), (50, 2.5), (90, 7.9), (99, 9.79), (100, 10)])
  func `Percentiles are numpy's`(rank: Double, expected: Double) {
    let seconds = [0.010, 0.001, 0.003, 0.002]
    var counts = MicrosecondCounts()
    for value in seconds { counts.add(seconds: value) }
    for summary in [LatencySummary(seconds: seconds, percentiles: [rank]), LatencySummary(counts, percentiles: [rank])]
    {
      #expect(abs(summary.percentiles[0].milliseconds - expected) < 1e-9)
      #expect(abs(summary.mean - 4) < 1e-9 && abs(summary.median - 2.5) < 1e-9)
      #expect(abs(summary.standardDeviation - 12.5.squareRoot()) < 1e-9)
    }
  }

  @Test func `Nothing measured is 0, as in vLLM`() {
    let nothing = LatencySummary(
      count: 0, mean: 0, median: 0, standardDeviation: 0, percentiles: [.init(rank: 99, milliseconds: 0)])
    #expect(LatencySummary(seconds: [], percentiles: [99]) == nothing)
    #expect(LatencySummary(MicrosecondCounts(), percentiles: [99]) == nothing)
  }

  @Test(arguments: ["single_fp32_rateinf", "pd_2p1d_toyproxy_rateinf"])
  func `A recording's latencies give its end-to-end figures`(name: String) throws {
    let json = try Fixture.json("\(name).json")
    let latencies = json["latencies"]?.arrayValue?.compactMap(\.doubleValue)
    let summary = LatencySummary(seconds: try #require(latencies), percentiles: [99])
    for (key, value) in [
      ("mean", summary.mean), ("median", summary.median), ("std", summary.standardDeviation),
      ("p99", summary.percentiles[0].milliseconds),
    ] {
      let recorded = try #require(json["\(key)_e2el_ms"]?.doubleValue)
      #expect(abs(value - recorded) < 1e-6, "\(key)")
    }
  }

  @Test func `Times count from when a request was due`() {
    let summary = RunSummary([Self.held, Self.punctual], header: Self.header)
    // Held until 2 s: first chunk at 2.5, last at 3. Due at 1: first chunk at 1.25, last at 1.75.
    #expect(summary.latencies[.ttft]?.mean == 375)
    #expect(summary.latencies[.e2el]?.mean == 875)
    #expect(summary.latencies[.itl]?.mean == 250)
    #expect(summary.latencies[.tpot]?.mean == 250)
    #expect(summary.latencies[.clientQueueTime]?.mean == 1062.5)
    #expect(summary.latencies[.e2elIncludingClientQueue]?.mean == 1875)
    #expect(summary.clientLag.mean == 62.5)
    #expect(summary.duration == 3.5)
    #expect(summary.peakConcurrentRequests == 1)
    #expect(summary.peakOutputTokensPerSecond == 3)
    #expect(summary.outputTokens == 6 && summary.inputTokens == 20)
  }

  @Test func `Overlapping requests are counted together, touching ones are not`() {
    var first = Self.punctual
    first.started = 0
    first.chunkTimes = [1, 2]
    var second = first
    second.started = 2
    second.chunkTimes = [3]
    #expect(RunSummary([first, second], header: Self.header).peakConcurrentRequests == 1)
    second.started = 1.9
    #expect(RunSummary([first, second], header: Self.header).peakConcurrentRequests == 2)
  }

  @Test func `Good requests keep every objective; failed ones keep none, those who left do not count`() {
    var header = Self.header
    header.reported.objectives = [ServiceObjective("ttft:300")!, ServiceObjective("e2el:1000")!]
    var left = Self.punctual
    left.outcome = .cancelled
    let failed = RequestRecord(index: 3, scheduled: 0, finished: 1, outcome: .timeout)
    let summary = RunSummary([Self.held, Self.punctual, left, failed], header: header)
    #expect(summary.good == 1)
    #expect(summary.attainment == 1.0 / 3)
    #expect(summary.requestGoodput == 1 / 3.5)
    #expect((summary.completed, summary.failed, summary.cancelled) == (2, 1, 1))
  }

  @Test func `Failures are told by kind, with the first one's words`() {
    func failure(_ outcome: RequestRecord.Outcome, status: Int? = nil, _ error: String) -> RequestRecord {
      var record = RequestRecord(index: 0, scheduled: 0, finished: 1, outcome: outcome)
      record.status = status
      record.error = error
      return record
    }
    let summary = RunSummary(
      [
        failure(.broken, "cut"), failure(.http, status: 503, "full"), failure(.http, status: 503, "later"),
        failure(.http, status: 400, "bad"),
      ], header: Self.header)
    let notes = SummaryNotes(summary, header: Self.header).text
    #expect(notes.contains("Failed: 1 × HTTP 400. The first: bad\nFailed: 2 × HTTP 503. The first: full\n"))
    #expect(notes.contains("Failed: 1 × broken answer. The first: cut"))
  }

  @Test func `A slow reader's latencies say nothing of the server`() {
    var slow = Self.held
    slow.isSlowReader = true
    let summary = RunSummary([slow, Self.punctual], header: Self.header)
    #expect(summary.completed == 2 && summary.latencies[.ttft]?.count == 1)
  }

  static let header: RunHeader = {
    var header = RunHeader()
    header.traffic.maxConcurrency = 1
    header.traffic.requestRate = 1
    return header
  }()

  static let held = record(index: 1, scheduled: 0, heldUntil: 2, started: 2, chunks: [2.5, 2.75, 3])
  static let punctual = record(index: 0, scheduled: 1, heldUntil: nil, started: 1.125, chunks: [1.25, 1.5, 1.75])

  static func record(
    index: Int, scheduled: Double, heldUntil: Double?, started: Double, chunks: [Double]
  ) -> RequestRecord {
    var record = RequestRecord(index: index, scheduled: scheduled, finished: chunks.last! + 0.5, outcome: .ok)
    record.heldUntil = heldUntil
    record.started = started
    record.firstToken = chunks.first
    record.chunkTimes = chunks
    record.promptTokens = 10
    record.outputTokens = chunks.count
    return record
  }
}
