/// Requests as long as those of a trace, and with its times. Where the trace names blocks, equal blocks are equal text,
/// so that a prefix cache hits where it did for the recorded users; else no two prompts share anything.
package struct TraceDataset: Sendable {
  package var name: String
  package var rows: [TraceRow]
  /// How many tokens a block id stands for.
  package var blockTokens = 512

  package init(name: String, rows: [TraceRow]) {
    self.name = name
    self.rows = rows
  }

  /// `count` of the rows in random order, without their times: vLLM's `burstgpt`. Draws rows again if there are too
  /// few.
  package func sampled(_ count: Int, using dice: inout some RandomNumberGenerator) -> Self {
    var sample = self
    sample.rows = Array(rows.shuffled(using: &dice).prefix(count))
    while !rows.isEmpty, sample.rows.count < count { sample.rows.append(rows.randomElement(using: &dice)!) }
    return sample
  }

  package func workload(
    _ maker: PromptMaker, seed: UInt64, using dice: inout some RandomNumberGenerator
  ) throws(BenchError) -> Workload {
    guard blockTokens > 0 else { throw .badWorkload("A block of a trace has at least one token, not \(blockTokens).") }
    let start = rows.map(\.time).min() ?? 0
    // Times may stand in any order; requests go out by time.
    let requests = rows.sorted { $0.time < $1.time }.map { row in
      let places = places(for: row, maker, seed: seed, using: &dice)
      var request = maker.request(places, outputTokens: row.outputTokens, using: &dice)
      request.recordedTime = row.time - start
      return request
    }
    return Workload(
      description: "\(name): \(requests.count) requests of a trace", requests: requests, promptCounts: maker.counts)
  }

  private func places(
    for row: TraceRow, _ maker: PromptMaker, seed: UInt64, using dice: inout some RandomNumberGenerator
  ) -> [Int] {
    let length = max(1, row.inputTokens - maker.specialTokens)
    var places: [Int] = []
    places.reserveCapacity(length)
    for block in row.blocks where places.count < length {
      // A block's tokens are rolled from its id alone, so that they need not be kept.
      var blockDice = SeededDice(seed: seed ^ UInt64(bitPattern: Int64(block)) &* 0x9E37_79B9_7F4A_7C15)
      places += maker.randomPlaces(min(blockTokens, length - places.count), using: &blockDice)
    }
    return places + maker.randomPlaces(length - places.count, using: &dice)
  }
}
