/// How much went on at once over a run: chunks in each second, requests between their sending and their last chunk.
struct Activity: Sendable {
  private var sendings: [Double] = []
  private var lastChunks: [Double] = []
  /// By whole second since the run's start.
  private var chunks: [Int] = []

  mutating func add(_ record: RequestRecord) {
    guard let last = record.chunkTimes.last else { return }
    sendings.append(record.started ?? record.due)
    lastChunks.append(last)
    for time in record.chunkTimes {
      let second = max(0, Int(time))
      if second >= chunks.count { chunks += Array(repeating: 0, count: second + 1 - chunks.count) }
      chunks[second] += 1
    }
  }

  var peakChunksPerSecond: Int { chunks.max() ?? 0 }

  /// Over half-open spans: one that ends as another begins is not beside it.
  var peakConcurrency: Int {
    let ends = lastChunks.sorted()
    var ended = 0
    var peak = 0
    for (begun, start) in sendings.sorted().enumerated() {
      while ended < ends.count, ends[ended] <= start { ended += 1 }
      peak = max(peak, begun + 1 - ended)
    }
    return peak
  }
}
