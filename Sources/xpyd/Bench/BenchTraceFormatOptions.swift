import ArgumentParser
import Bench

/// How to read a timed trace.
struct BenchTraceFormatOptions: ParsableArguments {
  @Option(help: "Tokens that a block id stands for: 512 in Mooncake's traces, 16 in Qwen's (default: 16).")
  var timedTraceChunkHashSize: Int?
  @Option(help: "Field of the block ids (default: hash_ids).") var timedTraceLabelHashIds: String?
  @Option(help: "Field of the prompt's length (default: input_length).") var timedTraceLabelInputLength: String?
  @Option(help: "Field of the output's length (default: output_length).") var timedTraceLabelOutputLength: String?
  @Option(help: "Field of the arrival time (default: timestamp).") var timedTraceLabelTimestamp: String?
  @Option(help: "Times this, timestamps are seconds: 0.001 for Mooncake's traces (default: 1).")
  var timedTraceSecMultiplier: Double?

  /// The flags that were given.
  var given: [String] {
    [
      ("--timed-trace-chunk-hash-size", timedTraceChunkHashSize != nil),
      ("--timed-trace-label-hash-ids", timedTraceLabelHashIds != nil),
      ("--timed-trace-label-input-length", timedTraceLabelInputLength != nil),
      ("--timed-trace-label-output-length", timedTraceLabelOutputLength != nil),
      ("--timed-trace-label-timestamp", timedTraceLabelTimestamp != nil),
      ("--timed-trace-sec-multiplier", timedTraceSecMultiplier != nil),
    ].filter(\.1).map(\.0)
  }

  func validate() throws {
    if let multiplier = timedTraceSecMultiplier, !(multiplier > 0 && multiplier.isFinite) {
      throw ValidationError("--timed-trace-sec-multiplier must be above 0, not \(multiplier).")
    }
    if let size = timedTraceChunkHashSize, !(1...1_000_000).contains(size) {
      throw ValidationError("--timed-trace-chunk-hash-size must be from 1 to 1000000, not \(size).")
    }
  }

  func workload(
    _ file: [UInt8], limit: Int, _ maker: PromptMaker, seed: UInt64, using dice: inout SeededDice
  ) throws -> Workload {
    var dataset = TraceDataset(name: "timed_trace", rows: try TraceRow.rows(file, labels: labels, limit: limit))
    dataset.blockTokens = timedTraceChunkHashSize ?? 16
    return try dataset.workload(maker, seed: seed, using: &dice)
  }

  private var labels: TraceLabels {
    var labels = TraceLabels()
    if let timedTraceLabelHashIds { labels.blocks = timedTraceLabelHashIds }
    if let timedTraceLabelInputLength { labels.inputLength = timedTraceLabelInputLength }
    if let timedTraceLabelOutputLength { labels.outputLength = timedTraceLabelOutputLength }
    if let timedTraceLabelTimestamp { labels.timestamp = timedTraceLabelTimestamp }
    labels.secondsPerUnit = timedTraceSecMultiplier ?? 1
    return labels
  }
}
