import Bench
import Testing

struct LoadCurvesTests {
  private func record(
    _ started: Double?, _ finished: Double, _ outcome: RequestRecord.Outcome = .ok, chunks: [Double] = [],
    tokens: Int? = nil
  ) -> RequestRecord {
    var record = RequestRecord(index: 0, scheduled: started ?? 0, finished: finished, outcome: outcome)
    record.started = started
    record.chunkTimes = chunks
    record.outputTokens = tokens
    return record
  }

  private func curves(_ duration: Double, _ records: [RequestRecord]) -> LoadCurves {
    var curves = LoadCurves(duration: duration)
    for record in records { curves.add(record) }
    return curves
  }

  @Test(arguments: [(0.5, 0.05), (4, 0.5), (37, 0.5), (1000, 10), (3600, 20), (0, 1), (.infinity, 1), (.nan, 1)])
  func `Bins are round and few`(duration: Double, width: Double) {
    let curves = LoadCurves(duration: duration)
    #expect(abs(curves.binWidth - width) < 1e-12)
    #expect((1...200).contains(curves.requests.count))
  }

  @Test func `A bin shows the most requests that were in flight at once in it`() {
    // Bins of half a second. Two at once in the first, one that goes on, and one that follows another without a gap.
    let curves = curves(
      4, [record(0, 0.3), record(0.1, 2.2), record(2.6, 2.8), record(2.8, 2.9), record(nil, 4, .connect)])
    #expect(curves.concurrency == [2, 1, 1, 1, 1, 1, 0, 0])
  }

  @Test func `Requests and failures count where they ended`() {
    let curves = curves(4, [record(0, 0.6), record(0, 0.9), record(0, 3.9, .timeout), record(0, 1, .cancelled)])
    #expect(curves.requests == [0, 4, 0, 0, 0, 0, 0, 0])
    #expect(curves.failures == [0, 0, 0, 0, 0, 0, 0, 2])
  }

  @Test func `Tokens are spread over chunks, and sum up`() {
    let curves = curves(
      4, [record(0, 4, chunks: [0.1, 0.6, 0.7, 99], tokens: 8), record(0, 4), record(0, 4, chunks: [1])])
    #expect(curves.outputTokens == [4, 8, 0, 0, 0, 0, 0, 4])
  }

  @Test(arguments: [-1e300, 1e300, .nan, -.infinity, .infinity] as [Double])
  func `A time outside the run counts at its border`(time: Double) {
    let curves = curves(4, [record(0, time, chunks: [time], tokens: 1)])
    let border = time > 0 ? 7 : 0
    #expect(curves.requests[border] == 2 && curves.outputTokens[border] == 2)
  }
}
