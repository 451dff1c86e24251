import ArgumentParser
import Bench
import Foundation
import ServingAPI
import Tokenization

/// What `xpyd bench serve` asks for. Flags, defaults and datasets are vLLM's.
struct BenchWorkloadOptions: ParsableArguments {
  enum Dataset: String, ExpressibleByArgument, CaseIterable {
    case random
    case prefixRepetition = "prefix_repetition"
    case sharegpt
    case custom
    case burstgpt
    case timedTrace = "timed_trace"
  }

  @Option var datasetName = Dataset.random
  @Option(help: "The dataset's file.") var datasetPath: String?
  @Option(help: "Number of requests.") var numPrompts = 1000
  @Option(help: "Rolls prompts and arrivals.") var seed: UInt64 = 0
  @Option(help: "Same as --random-input-len.") var inputLen: Int?
  @Option(help: "The dataset's output length, whichever it is.") var outputLen: Int?
  @Flag(help: "Keep a file's order.") var disableShuffle = false
  @Flag(help: "Do not draw again from a file that holds too few prompts.") var noOversample = false

  @Option var randomInputLen = 1024
  @Option var randomOutputLen = 128
  @Option(help: "Tokens that all prompts begin with, before --random-input-len others.") var randomPrefixLen = 0
  @Option(help: "Lengths lie in length · (1 ± ratio). A number in [0, 1), or {\"input\": 0.3, \"output\": 0.5}.")
  var randomRangeRatio = RangeRatio(input: 0, output: 0)

  @Option var prefixRepetitionPrefixLen = 256
  @Option var prefixRepetitionSuffixLen = 256
  @Option var prefixRepetitionNumPrefixes = 10
  @Option var prefixRepetitionOutputLen = 128

  @Option(help: "Output length for all, instead of the recorded answers'.") var sharegptOutputLen: Int?
  @Option(parsing: .unconditional, help: "Output length; -1: as the file says.") var customOutputLen = 256
  @Flag(help: "custom: send prompts as they are, without the model's chat template.") var skipChatTemplate = false

  @OptionGroup var trace: BenchTraceFormatOptions

  func validate() throws {
    guard numPrompts > 0 else { throw ValidationError("--num-prompts must be 1 or more, not \(numPrompts).") }
    let lengths = [
      ("--input-len", inputLen), ("--output-len", outputLen), ("--random-input-len", randomInputLen),
      ("--random-output-len", randomOutputLen), ("--random-prefix-len", randomPrefixLen),
      ("--prefix-repetition-prefix-len", prefixRepetitionPrefixLen),
      ("--prefix-repetition-suffix-len", prefixRepetitionSuffixLen),
      ("--prefix-repetition-output-len", prefixRepetitionOutputLen), ("--sharegpt-output-len", sharegptOutputLen),
    ]
    for case (let flag, let length?) in lengths where !(0...10_000_000).contains(length) {
      throw ValidationError("\(flag) must be from 0 to 10000000, not \(length).")
    }
    let isSynthetic = datasetName == .random || datasetName == .prefixRepetition
    if isSynthetic, let datasetPath {
      throw ValidationError("--dataset-name \(datasetName.rawValue) reads no file: --dataset-path is \(datasetPath).")
    }
    if !isSynthetic, datasetPath == nil {
      throw ValidationError("--dataset-name \(datasetName.rawValue) needs --dataset-path.")
    }
  }

  func workload(for api: Target.API, _ tokenizer: Tokenizer?) throws -> Workload {
    var dice = SeededDice(seed: seed)
    let maker = tokenizer.map { PromptMaker(tokenizer: $0) } ?? (api == .chat ? .words : .tokenIDs)
    switch datasetName {
    case .random:
      return try random.workload(requests: numPrompts, maker, using: &dice)
    case .prefixRepetition:
      return try prefixRepetition.workload(requests: numPrompts, shuffled: !disableShuffle, maker, using: &dice)
    case .sharegpt:
      return try ShareGPTDataset.workload(file(), sampling(tokenizer, sharegptOutputLen), using: &dice)
    case .custom:
      let length = customOutputLen == -1 ? nil : customOutputLen
      return try CustomDataset.workload(
        file(), sampling(tokenizer, length), overridesLength: length != nil,
        render: chatRenderer(api, tokenizer), using: &dice)
    case .burstgpt:
      let rows = try TraceRow.rows(file(), labels: trace.labels)
      return try TraceDataset(name: "burstgpt", rows: rows).sampled(numPrompts, using: &dice)
        .workload(maker, seed: seed, using: &dice)
    case .timedTrace: return try trace.workload(file(), limit: numPrompts, maker, seed: seed, using: &dice)
    }
  }

  private var random: RandomDataset {
    var dataset = RandomDataset()
    dataset.inputTokens = inputLen ?? randomInputLen
    dataset.outputTokens = outputLen ?? randomOutputLen
    dataset.prefixTokens = randomPrefixLen
    dataset.inputRangeRatio = randomRangeRatio.input
    dataset.outputRangeRatio = randomRangeRatio.output
    return dataset
  }

  private var prefixRepetition: PrefixRepetitionDataset {
    var dataset = PrefixRepetitionDataset()
    dataset.prefixTokens = prefixRepetitionPrefixLen
    dataset.suffixTokens = prefixRepetitionSuffixLen
    dataset.prefixes = prefixRepetitionNumPrefixes
    dataset.outputTokens = outputLen ?? prefixRepetitionOutputLen
    return dataset
  }

  private func sampling(_ tokenizer: Tokenizer?, _ outputTokens: Int?) -> FileSampling {
    var sampling = FileSampling(requests: numPrompts)
    sampling.shuffled = !disableShuffle
    sampling.oversamples = !noOversample
    sampling.outputTokens = outputLen ?? outputTokens
    sampling.tokenizer = tokenizer
    return sampling
  }

  private func file() throws -> [UInt8] { try readFile(datasetPath ?? "") }

  /// For completions, as vLLM does; a chat server has its own template.
  private func chatRenderer(
    _ api: Target.API, _ tokenizer: Tokenizer?
  ) throws -> (String) throws(BenchError) -> String {
    guard api == .completions, !skipChatTemplate, let tokenizer, let source = tokenizer.chatTemplateSource else {
      return { $0 }
    }
    let template = try ChatTemplate(source: source)
    return { prompt throws(BenchError) in
      do {
        let message = TemplateValue.object(TemplateMap([("role", .string("user")), ("content", .string(prompt))]))
        return try template.render(
          messages: [message], addGenerationPrompt: true, bosToken: tokenizer.bosTokenID.map(tokenizer.text),
          eosToken: tokenizer.eosTokenID.map(tokenizer.text))
      } catch {
        throw .badWorkload("The model's chat template cannot be used (\(error)): try --skip-chat-template.")
      }
    }
  }
}

/// How to read a timed trace.
struct BenchTraceFormatOptions: ParsableArguments {
  @Option(help: "Tokens that a block id stands for: 512 in Mooncake's traces, 16 in Qwen's.")
  var timedTraceChunkHashSize = 16
  @Option(help: "Field of the block ids.") var timedTraceLabelHashIds = "hash_ids"
  @Option(help: "Field of the prompt's length.") var timedTraceLabelInputLength = "input_length"
  @Option(help: "Field of the output's length.") var timedTraceLabelOutputLength = "output_length"
  @Option(help: "Field of the arrival time.") var timedTraceLabelTimestamp = "timestamp"
  @Option(help: "Times this, timestamps are seconds: 0.001 for Mooncake's traces.") var timedTraceSecMultiplier = 1.0

  var labels: TraceLabels {
    var labels = TraceLabels()
    labels.blocks = timedTraceLabelHashIds
    labels.inputLength = timedTraceLabelInputLength
    labels.outputLength = timedTraceLabelOutputLength
    labels.timestamp = timedTraceLabelTimestamp
    labels.secondsPerUnit = timedTraceSecMultiplier
    return labels
  }

  func validate() throws {
    guard timedTraceSecMultiplier > 0, timedTraceSecMultiplier.isFinite else {
      throw ValidationError("--timed-trace-sec-multiplier must be above 0, not \(timedTraceSecMultiplier).")
    }
    guard (1...1_000_000).contains(timedTraceChunkHashSize) else {
      throw ValidationError("--timed-trace-chunk-hash-size must be from 1 to 1000000, not \(timedTraceChunkHashSize).")
    }
  }

  func workload(
    _ file: [UInt8], limit: Int, _ maker: PromptMaker, seed: UInt64, using dice: inout SeededDice
  ) throws -> Workload {
    var dataset = TraceDataset(name: "timed_trace", rows: try TraceRow.rows(file, labels: labels, limit: limit))
    dataset.blockTokens = timedTraceChunkHashSize
    return try dataset.workload(maker, seed: seed, using: &dice)
  }
}

/// `0.3`, or a ratio for each side.
struct RangeRatio: ExpressibleByArgument {
  var input: Double
  var output: Double

  init(input: Double, output: Double) {
    self.input = input
    self.output = output
  }

  init?(argument: String) {
    if let ratio = Double(argument) {
      self.init(input: ratio, output: ratio)
    } else {
      guard let json = try? BodyParser.parse(Array(argument.utf8)), let input = json["input"]?.doubleValue,
        let output = json["output"]?.doubleValue
      else { return nil }
      self.init(input: input, output: output)
    }
    guard (0..<1).contains(input), (0..<1).contains(output) else { return nil }
  }

  var defaultValueDescription: String { "\(input)" }
}

func readFile(_ path: String) throws -> [UInt8] {
  guard let data = FileManager.default.contents(atPath: path) else { throw RecordFileError.cannotRead(path: path) }
  return Array(data)
}
