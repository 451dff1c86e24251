import Bench
import Foundation
import ServingAPI
import TestSupport
import Testing

struct RecordFileTests {
  @Test func `A raw file gives back what was written`() throws {
    let place = TemporaryFile([], suffix: ".jsonl")
    let records = [Self.completed, Self.failed]
    let writer = try RecordFileWriter(path: place.path, header: Self.header)
    for record in records { try writer.append(record) }
    try writer.close()
    let file = try RecordFile(path: place.path)
    #expect(file.header == Self.header)
    #expect(try file.records() == records)
  }

  @Test func `A line that is no record is named`() throws {
    let place = TemporaryFile([], suffix: ".jsonl")
    try RecordFileWriter(path: place.path, header: Self.header).close()
    let cut = TemporaryFile(
      Array(try String(contentsOfFile: place.path, encoding: .utf8).utf8) + Array(#"{"index":0,"sch"#.utf8))
    #expect(throws: RecordSyntaxError.self) { try RecordFile(path: cut.path).records() }
    let empty = TemporaryFile([])
    #expect(throws: RecordSyntaxError(line: 1, reason: "the file is empty")) { try RecordFile(path: empty.path) }
  }

  @Test(arguments: [
    #""finished":1e300"#, #""finished":1,"chunk_times":[1,-1e9]"#, #""finished":1,"output_tokens":9223372036854775807"#,
    #""finished":1,"prompt_tokens":-1"#,
  ])
  func `A record that no run can have made is refused`(fields: String) throws {
    let json = try BodyParser.parse(Array(#"{"index":0,"scheduled":0,"outcome":"ok",\#(fields)}"#.utf8))
    #expect(throws: RecordSyntaxError.self) { try RequestRecord(json, line: 2) }
  }

  static let header: RunHeader = {
    var header = RunHeader()
    header.commandLine = ["xpyd", "bench", "serve", "--header", "a=\"b\""]
    header.seed = .max
    header.traffic.requestRate = 3.5
    header.traffic.maxConcurrency = 4
    header.traffic.rampUp = RampUp(strategy: .exponential, start: 1, end: 8)
    header.reported.metrics = [.itl, .clientQueueTime]
    header.reported.percentiles = [50, 99.9]
    header.reported.objectives = [ServiceObjective(.ttft, milliseconds: 500)]
    header.metadata = [RunHeader.Metadata(key: "tp", value: "1")]
    return header
  }()

  static let completed: RequestRecord = {
    var record = RequestRecord(index: 7, scheduled: 0.000_001, finished: 2, outcome: .ok)
    record.heldUntil = 0.5
    record.started = 0.500_1
    record.firstToken = 1.25
    record.chunkTimes = [1.25, 1.3, 1.999_999]
    record.promptTokens = 12
    record.outputTokens = 3
    record.tokenSource = .usage
    record.status = 200
    record.requestID = "bench-7"
    record.timing = ServerTiming()
    record.timing?.prefiller = "p1"
    record.timing?.prefill = 0.25
    record.isSlowReader = true
    record.text = "a\n\"b\""
    return record
  }()

  static let failed: RequestRecord = {
    var record = RequestRecord(index: 1, scheduled: 3, finished: 3.1, outcome: .connect)
    record.error = "refused"
    return record
  }()
}
