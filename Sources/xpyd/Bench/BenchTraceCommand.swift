import ArgumentParser
import Bench

extension BenchCommand {
  /// `xpyd bench trace`: a recorded trace, replayed.
  struct Trace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Replay a recorded trace, faster or slower.",
      discussion: """
        Reads Mooncake's JSON lines, whose equal block ids become equal text, and the CSV of BurstGPT and of Azure's \
        traces. Requests come when they came, at --speed times the pace.
        """)

    @Argument(help: "The trace's file.") var path: String
    @Option(help: "2: twice as fast as it was recorded.") var speed = 1.0
    @Option(help: "Requests at most (default: all).") var numPrompts = Int.max
    @Option(help: "Rolls the prompts' text.") var seed: UInt64 = 0
    @Option(help: "Tokens that a block id stands for.") var blockTokens = 512

    @OptionGroup(title: "Server") var target: BenchTargetOptions
    @OptionGroup(title: "Load") var load: BenchLoadOptions
    @OptionGroup(title: "Results") var results: BenchResultOptions

    func validate() throws {
      guard speed > 0, speed.isFinite else { throw ValidationError("--speed must be above 0, not \(speed).") }
      guard numPrompts > 0 else { throw ValidationError("--num-prompts must be 1 or more, not \(numPrompts).") }
      guard blockTokens > 0 else { throw ValidationError("--block-tokens must be 1 or more, not \(blockTokens).") }
      guard load.requestRate == .infinity, load.rampUpStrategy == nil else {
        throw ValidationError("A trace has its own times: --request-rate and --ramp-up-* are for xpyd bench serve.")
      }
    }

    func run() async throws {
      try results.prepare()
      let target = try await target.target()
      let tokenizer = try self.target.tokenizer(for: target)
      let maker =
        tokenizer.map { PromptMaker(tokenizer: $0.tokenizer) } ?? (target.api == .chat ? .words : .tokenIDs)
      var dice = SeededDice(seed: seed)
      var trace = TraceDataset(
        name: "trace", rows: try TraceRow.rows(readFile(path), labels: TraceLabels(), limit: numPrompts))
      trace.blockTokens = blockTokens
      let workload = try trace.workload(maker, seed: seed, using: &dice)
      var options = load.options(for: target.api, seed: seed, ignoresEOS: true)
      options.arrivals = .recorded(scale: 1 / speed)
      options.keepsText = results.saveDetailed
      options.tokenizer = tokenizer?.tokenizer
      var header = RunHeader(target, workload, seed: seed)
      header.traffic = load.traffic
      header.traffic.followsTrace = true
      header.backend = self.target.backend.rawValue
      header.tokenizer = tokenizer?.name
      try header.add(results)
      try await BenchRun(
        workload: workload, target: target, options: options, header: header, results: results,
        warmups: load.numWarmups, readySeconds: load.readyCheckTimeoutSec
      ).run()
    }
  }
}
