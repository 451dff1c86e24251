import Bench
import Foundation
import TestSupport
import Testing

struct RunPageTests {
  private static let hostile = "</title><script>alert('1')</script><img src=\"https://example.org/x\" onerror=alert(2)>"

  private func header(_ text: String) -> RunHeader {
    var header = RunHeader()
    header.commandLine = ["xpyd", "bench", "serve", "--model", text]
    header.version = "1.2.3"
    header.startedAt = "2026-01-02T03:04:05Z"
    header.target = "127.0.0.1:8000/v1/completions"
    header.model = text
    header.label = text
    header.tokenizer = text
    header.workload = text
    header.metadata = [.init(key: text, value: text)]
    header.client.name = text
    header.client.system = text
    header.reported.objectives = [ServiceObjective(.ttft, milliseconds: 300)]
    return header
  }

  /// Rolled with fixed dice: a tenth fails, half of the rest tells its timing.
  private func records(_ count: Int, _ text: String) -> [RequestRecord] {
    var dice = SplitMix64(seed: 3)
    return (0..<count).map { index in
      let start = Double(index) / 8
      let first = start + Double.random(in: 0.1..<0.4, using: &dice)
      var record = RequestRecord(index: index, scheduled: start, finished: first + 0.2, outcome: .ok)
      record.started = start + 0.0005
      record.requestID = text
      guard index % 10 != 9 else {
        record.outcome = .http
        record.status = 503
        record.error = text
        return record
      }
      record.firstToken = first
      record.chunkTimes = (0..<10).map { first + 0.02 * Double($0) }
      record.promptTokens = 100
      record.outputTokens = 10
      record.tokenSource = .usage
      guard index % 2 == 0 else { return record }
      var timing = ServerTiming()
      timing.prefiller = text
      timing.decoder = text
      timing.prefill = 0.05
      timing.transfer = 0.02
      record.timing = timing
      return record
    }
  }

  private func page(_ count: Int, _ text: String = "model") -> String {
    RunPage([RunReport(header: header(text), records: records(count, text))]).html
  }

  @Test func `The page of a small run is as the fixture has it`() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/small.html")
    let made = page(20)
    // XPYD_WRITE_FIXTURES=1 swift test -c release --filter RunPageTests
    if ProcessInfo.processInfo.environment["XPYD_WRITE_FIXTURES"] != nil {
      try made.write(to: path, atomically: true, encoding: .utf8)
    }
    #expect(made == (try String(contentsOf: path, encoding: .utf8)))
  }

  @Test(arguments: [0, 1, 20, 10_000])
  func `The page is well-formed, whatever texts it holds`(count: Int) throws {
    let text = page(count, Self.hostile)
    // Valid XML but for the void elements and the doctype, so the parser sees every tag that a browser would see.
    let xml = text.replacingOccurrences(of: "<!doctype html>", with: "").replacingOccurrences(
      of: "<meta([^>]*)>", with: "<meta$1/>", options: .regularExpression)
    let elements = try Elements(xml)
    #expect(elements.names.isDisjoint(with: ["script", "img", "link", "iframe", "object", "base", "a", "form"]))
    #expect(!elements.attributes.contains { $0.hasPrefix("on") || ["src", "href", "srcset", "style"].contains($0) })
    #expect(elements.counts["figure"] ?? 0 == (count == 0 ? 0 : count == 1 ? 8 : 9))
  }

  @Test(arguments: [0, 1, 20])
  func `The page needs no network`(count: Int) {
    let text = page(count)
    for word in ["http:", "https:", "url(", "@import", "//"] { #expect(!text.contains(word), "\(word)") }
    #expect(text.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""))
  }

  @Test func `Ten thousand requests are drawn as some hundreds, and it says so`() throws {
    let text = page(10_000)
    #expect(text.utf8.count < 400_000)
    #expect(text.contains("313 of 10,000, evenly picked"))
    #expect(text.contains("1,000 of 10,000 requests failed (10 %): 1,000 × HTTP 503."))
  }

  @Test func `A report made from a raw file is the one made from its records`() throws {
    let place = TemporaryFile([], suffix: ".jsonl")
    let writer = try RecordFileWriter(path: place.path, header: header("model"))
    // As they end, which is not as they began.
    for record in records(20, "model").reversed() { try writer.append(record) }
    try writer.close()
    #expect(RunPage([try RunReport(try RecordFile(path: place.path))]).html == page(20))
  }

  @Test func `A raw file can be judged by another SLO`() throws {
    let place = TemporaryFile([], suffix: ".jsonl")
    let writer = try RecordFileWriter(path: place.path, header: header("model"))
    for record in records(20, "model") { try writer.append(record) }
    try writer.close()
    let strict = try RunReport(try RecordFile(path: place.path)) {
      $0.reported.objectives = [ServiceObjective(.ttft, milliseconds: 1)]
    }
    #expect(strict.summary.attainment == 0)
    #expect(RunPage([strict]).html.contains("0 % of the requests met TTFT ≤ 1 ms."))
  }

  @Test func `Several runs stand beside each other first`() {
    let runs = ["one", "two"].map { RunReport(header: header($0), records: records(20, "x")) }
    let lines = RunOverview(runs).text.split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines[2].hasPrefix("| one |       20 |      2 |"))
    let page = RunPage(runs).html
    #expect(page.contains("<h1>xpyd bench: 2 runs</h1>"))
    #expect(page.components(separatedBy: "<details open>").count - 1 == 2)
  }
}
