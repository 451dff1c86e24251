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

  @Option(help: "random: tokens of a prompt (default: 1024).") var randomInputLen: Int?
  @Option(help: "random: tokens of an answer (default: 128).") var randomOutputLen: Int?
  @Option(help: "random: tokens that all prompts begin with, before --random-input-len others (default: 0).")
  var randomPrefixLen: Int?
  @Option(
    help:
      "random: lengths lie in length · (1 ± ratio). A number in [0, 1) (default: 0), or {\"input\": 0.3, \"output\": 0.5}."
  )
  var randomRangeRatio: RangeRatio?

  @Option(help: "prefix_repetition: tokens that several prompts begin with (default: 256).")
  var prefixRepetitionPrefixLen: Int?
  @Option(help: "prefix_repetition: tokens behind them (default: 256).") var prefixRepetitionSuffixLen: Int?
  @Option(help: "prefix_repetition: how many beginnings (default: 10).") var prefixRepetitionNumPrefixes: Int?
  @Option(help: "prefix_repetition: tokens of an answer (default: 128).") var prefixRepetitionOutputLen: Int?

  @Option(help: "sharegpt: output length for all, instead of the recorded answers'.") var sharegptOutputLen: Int?
  @Option(parsing: .unconditional, help: "custom: output length; -1: as the file says (default: 256).")
  var customOutputLen: Int?
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
    for (flag, isGiven, datasets) in flagsOfDatasets where isGiven && !datasets.contains(datasetName) {
      let names = datasets.map(\.rawValue).joined(separator: " or ")
      throw ValidationError("\(flag) is for --dataset-name \(names), not \(datasetName.rawValue).")
    }
    let isSynthetic = datasetName == .random || datasetName == .prefixRepetition
    if isSynthetic, let datasetPath {
      throw ValidationError("--dataset-name \(datasetName.rawValue) reads no file: --dataset-path is \(datasetPath).")
    }
    if !isSynthetic, datasetPath == nil {
      throw ValidationError("--dataset-name \(datasetName.rawValue) needs --dataset-path.")
    }
  }

  /// Flags that only some datasets read: given for another they would be passed over.
  private var flagsOfDatasets: [(flag: String, isGiven: Bool, datasets: [Dataset])] {
    [
      ("--input-len", inputLen != nil, [.random]),
      ("--random-input-len", randomInputLen != nil, [.random]),
      ("--random-output-len", randomOutputLen != nil, [.random]),
      ("--random-prefix-len", randomPrefixLen != nil, [.random]),
      ("--random-range-ratio", randomRangeRatio != nil, [.random]),
      ("--prefix-repetition-prefix-len", prefixRepetitionPrefixLen != nil, [.prefixRepetition]),
      ("--prefix-repetition-suffix-len", prefixRepetitionSuffixLen != nil, [.prefixRepetition]),
      ("--prefix-repetition-num-prefixes", prefixRepetitionNumPrefixes != nil, [.prefixRepetition]),
      ("--prefix-repetition-output-len", prefixRepetitionOutputLen != nil, [.prefixRepetition]),
      ("--sharegpt-output-len", sharegptOutputLen != nil, [.sharegpt]),
      ("--custom-output-len", customOutputLen != nil, [.custom]),
      ("--skip-chat-template", skipChatTemplate, [.custom]),
      ("--output-len", outputLen != nil, [.random, .prefixRepetition, .sharegpt, .custom]),
      ("--disable-shuffle", disableShuffle, [.prefixRepetition, .sharegpt, .custom]),
      ("--no-oversample", noOversample, [.sharegpt, .custom]),
    ] + trace.given.map { ($0, true, [.timedTrace]) }
  }

  /// Whether answers must be as long as was asked, whatever the model would say.
  var needsWholeOutput: Bool { datasetName == .random || datasetName == .timedTrace }

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
      let length = customOutputLen == -1 ? nil : customOutputLen ?? 256
      return try CustomDataset.workload(
        file(), sampling(tokenizer, length), overridesLength: length != nil,
        render: chatRenderer(api, tokenizer), using: &dice)
    case .burstgpt:
      let rows = try TraceRow.rows(file(), labels: TraceLabels())
      return try TraceDataset(name: "burstgpt", rows: rows).sampled(numPrompts, using: &dice)
        .workload(maker, seed: seed, using: &dice)
    case .timedTrace: return try trace.workload(file(), limit: numPrompts, maker, seed: seed, using: &dice)
    }
  }

  private var random: RandomDataset {
    var dataset = RandomDataset()
    if let length = inputLen ?? randomInputLen { dataset.inputTokens = length }
    if let length = outputLen ?? randomOutputLen { dataset.outputTokens = length }
    if let randomPrefixLen { dataset.prefixTokens = randomPrefixLen }
    if let randomRangeRatio {
      dataset.inputRangeRatio = randomRangeRatio.input
      dataset.outputRangeRatio = randomRangeRatio.output
    }
    return dataset
  }

  private var prefixRepetition: PrefixRepetitionDataset {
    var dataset = PrefixRepetitionDataset()
    if let prefixRepetitionPrefixLen { dataset.prefixTokens = prefixRepetitionPrefixLen }
    if let prefixRepetitionSuffixLen { dataset.suffixTokens = prefixRepetitionSuffixLen }
    if let prefixRepetitionNumPrefixes { dataset.prefixes = prefixRepetitionNumPrefixes }
    if let length = outputLen ?? prefixRepetitionOutputLen { dataset.outputTokens = length }
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
}

func readFile(_ path: String) throws -> [UInt8] {
  guard let data = FileManager.default.contents(atPath: path) else { throw RecordFileError.cannotRead(path: path) }
  return Array(data)
}
