import Bench
import Foundation
import Testing

struct ComparisonRunTests {
  private func report(ttft: Double, header: RunHeader = RunHeader()) -> RunReport {
    let records = (0..<20).map { index in
      var record = RequestRecord(index: index, scheduled: 0, finished: ttft + 1, outcome: .ok)
      record.started = 0
      record.firstToken = ttft
      record.chunkTimes = [ttft, ttft + 1]
      record.outputTokens = 2
      return record
    }
    return RunReport(header: header, records: records)
  }

  private func compare(rounds: Int, a: Double, b: Double) async throws -> ComparisonRun {
    try await ComparisonRun.run(labelA: "<A>", labelB: "B", rounds: rounds) { round, side in
      report(ttft: (side == .a ? a : b) * (1 + 0.01 * Double(round)))
    }
  }

  @Test func `Rounds alternate who goes first`() async throws {
    var order: [String] = []
    _ = try await ComparisonRun.run(labelA: "A", labelB: "B", rounds: 3) { round, side in
      order.append("\(round)\(side)")
      return report(ttft: 1)
    }
    #expect(order == ["0a", "0b", "1b", "1a", "2a", "2b"])
  }

  @Test func `An interrupted round does not count`() async throws {
    let run = try await ComparisonRun.run(labelA: "A", labelB: "B", rounds: 3) { round, side in
      round == 1 && side == .a ? nil : report(ttft: 1)
    }
    #expect(run.comparison.rounds.count == 1)
  }

  @Test func `Each round is compared with itself`() async throws {
    let comparison = try await compare(rounds: 4, a: 0.4, b: 0.2).comparison
    let row = try #require(comparison.rows.first { $0.figure == .meanTTFT })
    // The rounds drift by 3 % together, so their ratios do not differ at all.
    #expect(abs(row.estimate.ratio - 0.5) < 1e-9)
    #expect(row.estimate.range.upperBound - row.estimate.range.lowerBound < 1e-9)
    #expect(row.isBetter == true)
  }

  @Test func `The page shows both, and escapes their labels`() async throws {
    let page = ComparisonPage(try await compare(rounds: 3, a: 0.4, b: 0.2)).html
    #expect(page.contains("<h1>xpyd bench compare: &lt;A&gt; and B</h1>"))
    #expect(!page.contains("<A>"))
    #expect(page.contains("class=\"series0\"><path") && page.contains("class=\"series1\"><path"))
    #expect(page.contains("A: P50 404 ms") && page.contains("B: P50 202 ms"))
    #expect(page.components(separatedBy: "<details>").count - 1 == 2)
  }
}
