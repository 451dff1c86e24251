import Bench
import Foundation
import Testing

struct SweepTests {
  /// A run in which a share of requests has a TTFT of 100 ms, and the others fail or take 900 ms.
  private func run(
    rate: Double, requests: Int, good: Double, failing: Bool = false, lag: Double = 0
  ) -> RunReport {
    var header = RunHeader()
    header.reported.objectives = [ServiceObjective(.ttft, milliseconds: 500)]
    let records = (0..<requests).map { index in
      let isGood = Double(index) < Double(requests) * good
      let start = Double(index) / rate
      let first = start + (isGood ? 0.1 : 0.9)
      var record = RequestRecord(
        index: index, scheduled: start, finished: first + 0.1, outcome: isGood || !failing ? .ok : .timeout)
      record.started = start + lag
      guard record.outcome == .ok else { return record }
      record.firstToken = first
      record.chunkTimes = [first, first + 0.1]
      record.outputTokens = 2
      return record
    }
    return RunReport(header: header, records: records)
  }

  private func sweep(
    _ limits: RateSearch.Limits, failing: Bool = false, good: @escaping (Double) -> Double
  ) async throws -> Sweep {
    try await Sweep.run(limits, seconds: { 0 }) { rate, requests in
      run(rate: rate, requests: requests, good: good(rate), failing: failing)
    }
  }

  private var coarse: RateSearch.Limits {
    var limits = RateSearch.Limits()
    limits.precision = 0.5
    limits.pointSeconds = 10
    limits.highest = 8
    limits.lowest = 0.5
    return limits
  }

  @Test func `The knee and what lies beyond it are told`() async throws {
    let sweep = try await sweep(coarse) { $0 < 5 ? 1 : 0.5 }
    #expect(sweep.points.map(\.rate) == [1, 2, 4, 8, 5.66])
    #expect(
      sweep.verdict == "This deployment carries 4 req/s: 100 % of the requests met TTFT ≤ 500 ms; "
        + "at 5.66 req/s 50.9 % did.")
  }

  @Test func `A point that fails by errors has not attained its goal`() async throws {
    let sweep = try await sweep(coarse, failing: true) { $0 < 5 ? 1 : 0.5 }
    #expect(sweep.result.passed == 4)
    #expect(sweep.points.last?.attainment == 29.0 / 57)
    let dead = try await self.sweep(coarse, failing: true) { _ in 0 }
    #expect(dead.result == RateSearch.Result(passed: nil, failed: 0.5, end: .neverPassed))
    #expect(
      dead.verdict == "This deployment keeps the SLO at no rate that was tried: even at 0.5 req/s only 0 % of the "
        + "requests met TTFT ≤ 500 ms. Lower --min-rate, or loosen --goodput.")
  }

  @Test func `A deployment that carries all says so`() async throws {
    #expect(
      try await sweep(coarse) { _ in 1 }.verdict
        == "This deployment carries at least 8 req/s: 100 % of the requests met TTFT ≤ 500 ms. "
        + "Nothing higher was tried: raise --max-rate.")
  }

  @Test func `A search that ran out of time says what it knows`() async throws {
    var limits = coarse
    limits.timeBudget = 60
    var clock = 0.0
    let sweep = try await Sweep.run(limits, seconds: { clock }) { rate, requests in
      clock += 25
      return run(rate: rate, requests: requests, good: rate < 5 ? 1 : 0)
    }
    #expect(
      sweep.verdict == "This deployment carries at least 2 req/s: 100 % of the requests met TTFT ≤ 500 ms. "
        + "The time was over before the search was: raise --time-budget.")
  }

  @Test(arguments: [(0.005, false), (0.05, true)])
  func `A client that was late where it failed is named`(lag: Double, isNamed: Bool) async throws {
    let sweep = try await Sweep.run(coarse, seconds: { 0 }) { rate, requests in
      run(rate: rate, requests: requests, good: rate < 5 ? 1 : 0, lag: rate < 5 ? 0 : lag)
    }
    #expect(
      sweep.verdict.hasSuffix(" The client itself sent up to 50 ms late there (P99), so the limit may be its own.")
        == isNamed)
  }

  @Test func `An interrupted search says what it knows`() async throws {
    var left = 3
    let sweep = try await Sweep.run(coarse, seconds: { 0 }) { rate, requests in
      left -= 1
      return left < 0 ? nil : run(rate: rate, requests: requests, good: 1)
    }
    #expect(sweep.result == RateSearch.Result(passed: 4, failed: nil, end: .interrupted))
    #expect(sweep.verdict.hasSuffix("met TTFT ≤ 500 ms. The search was interrupted."))
  }

  @Test func `Table, JSON and page hold every point`() async throws {
    let sweep = try await sweep(coarse) { $0 < 5 ? 1 : 0.5 }
    let lines = sweep.text.split(separator: "\n")
    #expect(lines.count == 2 + 5 + 1)
    #expect(lines[2].hasPrefix("| 1           |       50 |   100 % |      0 |"))
    #expect(lines.last.map(String.init) == sweep.verdict)
    #expect(sweep.json["points"]?.arrayValue?.count == 5)
    #expect(sweep.json["result"]?["passed"] == .number(4))
    let page = SweepPage(sweep).html
    // Two points failed, and each stands in four curves.
    #expect(page.components(separatedBy: "<g class=\"missed\">").count - 1 == 2 * 4)
    #expect(page.components(separatedBy: "<details>").count - 1 == 2)
    #expect(page.contains("<tr class=\"best\"><td>4</td>"))
  }
}
