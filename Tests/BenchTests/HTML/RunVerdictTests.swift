import Bench
import Testing

struct RunVerdictTests {
  /// So many requests, one a second, whose first tokens come after the given seconds; a negative time is a failure.
  private func findings(
    _ times: [Double], lag: Double = 0, _ change: (inout RunHeader) -> Void = { _ in }
  ) -> [String] {
    var header = RunHeader()
    change(&header)
    let records = times.enumerated().map { index, ttft in
      let start = Double(index)
      var record = RequestRecord(
        index: index, scheduled: start, finished: start + abs(ttft) + 0.02, outcome: ttft < 0 ? .http : .ok)
      record.started = start + lag
      guard ttft >= 0 else {
        record.status = 503
        return record
      }
      record.firstToken = start + ttft
      record.chunkTimes = [start + ttft, start + ttft + 0.01, start + ttft + 0.02]
      record.outputTokens = 3
      return record
    }
    return RunVerdict(RunReport(header: header, records: records)).findings.map { "\($0.mood): \($0.text)" }
  }

  @Test func `A good run says what it reached`() {
    let findings = findings(Array(repeating: 0.1, count: 4)) { $0.traffic.requestRate = 1 }
    #expect(
      findings == [
        "good: All 4 requests succeeded.",
        "good: The first token came after 100 ms; after it a token came every 10 ms (medians).",
        "good: 1.28 req/s of 1 req/s asked and 3.85 output tokens/s were served.",
      ])
  }

  @Test func `Failures come first, with their kinds`() {
    #expect(findings([0.1, -0.1, 0.1, -0.1])[0] == "bad: 2 of 4 requests failed (50 %): 2 × HTTP 503.")
    #expect(findings([-0.1, -0.1]) == ["bad: 2 of 2 requests failed (100 %): 2 × HTTP 503."])
  }

  @Test(arguments: [([0.1, 0.1], "good: 100 %"), ([0.1, 0.9], "warning: 50 %"), ([0.1, 0.9, 0.9], "bad: 33.3 %")])
  func `The SLO is judged in words`(times: [Double], expected: String) {
    let findings = findings(times) { $0.reported.objectives = [ServiceObjective(.ttft, milliseconds: 500)] }
    #expect(findings.contains("\(expected) of the requests met TTFT ≤ 500 ms."))
  }

  @Test func `Waits that grow are a warning`() {
    let growing = findings((0..<30).map { 0.1 + 0.1 * Double($0) })
    #expect(
      growing[0] == "warning: Waits grew during the run: the median TTFT was 550 ms in its first third and 2.55 s in "
        + "its last. The load was more than this deployment carries.")
    #expect(!findings((0..<30).map { 0.1 + 0.003 * Double($0) }).contains { $0.contains("grew") })
  }

  @Test func `A late client is named`() {
    #expect(findings([0.2, 0.2], lag: 0.05)[0].hasPrefix("warning: The client itself sent up to 50 ms late (P99)"))
    #expect(!findings([0.2, 0.2], lag: 0.005).contains { $0.contains("client") })
  }

  @Test func `A run of nothing says so`() {
    #expect(findings([]) == ["warning: No request was sent."])
  }
}
