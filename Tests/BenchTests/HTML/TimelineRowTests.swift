import Bench
import Testing

struct TimelineRowTests {
  private func record(_ outcome: RequestRecord.Outcome = .ok) -> RequestRecord {
    var record = RequestRecord(index: 7, scheduled: 10, finished: 14, outcome: outcome)
    record.started = 10.5
    record.firstToken = 12
    record.chunkTimes = [12, 14]
    return record
  }

  private func spans(_ record: RequestRecord) -> [String] {
    TimelineRow(record).spans.map { "\($0.phase) \($0.start)–\($0.end)" }
  }

  @Test func `Without the server's word there is a wait and a stream`() {
    #expect(spans(record()) == ["lag 10.0–10.5", "wait 10.5–12.0", "stream 12.0–14.0"])
  }

  @Test func `What the server tells divides the wait`() {
    var record = record()
    var timing = ServerTiming()
    timing.queue = 0.25
    timing.prefill = 0.75
    timing.transfer = 0.25
    record.timing = timing
    #expect(
      spans(record) == [
        "lag 10.0–10.5", "queue 10.5–10.75", "prefill 10.75–11.5", "transfer 11.5–11.75", "wait 11.75–12.0",
        "stream 12.0–14.0",
      ])
    record.timing?.prefill = 99
    record.timing?.queue = -1
    #expect(spans(record) == ["lag 10.0–10.5", "prefill 10.5–12.0", "stream 12.0–14.0"])
  }

  @Test func `A request that was held back was not late`() {
    var record = record()
    record.heldUntil = 10.4999
    #expect(spans(record) == ["held 10.0–10.4999", "wait 10.4999–12.0", "stream 12.0–14.0"])
  }

  @Test func `A failure is marked from the last moment that went well`() {
    #expect(spans(record(.broken)).last == "failed 12.0–14.0")
    var silent = record(.timeout)
    silent.firstToken = nil
    silent.chunkTimes = []
    #expect(spans(silent) == ["lag 10.0–10.5", "failed 10.5–14.0"])
    silent.started = nil
    #expect(spans(silent) == ["failed 10.0–14.0"])
    silent.outcome = .cancelled
    #expect(spans(silent) == ["wait 10.0–14.0"])
  }

  @Test func `Counted from its schedule a row begins at zero`() {
    #expect(TimelineRow(record()).fromSchedule.spans.map(\.start) == [0, 0.5, 2])
    #expect(TimelineRow(record()).fromSchedule.spans.last?.end == 4)
  }

  @Test func `Hovering tells how it went`() {
    var failed = record(.http)
    failed.status = 503
    failed.error = "no worker"
    #expect(
      TimelineRow(failed).detail
        == "request 7\ndue at 10 s\nsent 500 ms late\nTTFT 2 s\nE2E 4 s\nhttp 503\nno worker")
  }
}
