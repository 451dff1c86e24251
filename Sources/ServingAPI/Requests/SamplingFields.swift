/// What both generation endpoints share: how to choose tokens and when to stop. Names, ranges, defaults and texts are
/// vLLM's.
package struct SamplingFields: Sendable, Equatable {
  package var temperature: Double = 1
  package var topP: Double = 1
  /// 0: all tokens.
  package var topK = 0
  package var minP: Double = 0
  package var seed: Int64?
  package var repetitionPenalty: Double = 1
  package var presencePenalty: Double = 0
  package var frequencyPenalty: Double = 0
  package var logitBias: [Int32: Double] = [:]
  package var allowedTokenIDs: [Int32]?
  package var stop: [String] = []
  package var stopTokenIDs: [Int32] = []
  package var includeStopString = false
  package var ignoreEOS = false
  package var minTokens = 0
  /// As the client gave it; nil: the endpoint's default.
  package var maxTokens: Int?
  /// Alternatives per output token; nil: no log-probabilities.
  package var logprobs: Int?
  /// Alternatives per token of the prompt; nil: no log-probabilities of it.
  package var promptLogprobs: Int?
  package var badWords: [String] = []
  /// What the output must be.
  package var constraint: OutputConstraint?
  package var skipSpecialTokens = true
  package var n = 1

  package static let maximumLogprobs = 20
  package static let maximumChoices = 128
  /// Every token's text is held against every stop string. vLLM has no bound, OpenAI's is 4.
  package static let maximumStops = 128
  package static let maximumStopBytes = 16_384
  /// Each is held against the end of the output at every token.
  package static let maximumBadWords = 1024

  /// A request that says nothing.
  init(_ defaults: SamplingDefaults) {
    temperature = defaults.temperature
    topP = defaults.topP
    topK = defaults.topK
    minP = defaults.minP
    repetitionPenalty = defaults.repetitionPenalty
  }

  init(_ reader: inout FieldReader, _ defaults: SamplingDefaults) throws(APIError) {
    self.init(defaults)
    temperature = reader.double("temperature") ?? temperature
    topP = reader.double("top_p") ?? topP
    topK = reader.int("top_k") ?? topK
    minP = reader.double("min_p") ?? minP
    // As vLLM: -1 asks for no seed.
    seed = reader.int64("seed").flatMap { $0 == -1 ? nil : $0 }
    repetitionPenalty = reader.double("repetition_penalty") ?? repetitionPenalty
    presencePenalty = reader.double("presence_penalty") ?? 0
    frequencyPenalty = reader.double("frequency_penalty") ?? 0
    logitBias = Self.logitBias(&reader)
    allowedTokenIDs = reader.tokenIDs("allowed_token_ids")
    stop = Self.stop(&reader)
    stopTokenIDs = reader.tokenIDs("stop_token_ids") ?? []
    includeStopString = reader.bool("include_stop_str_in_output") ?? false
    ignoreEOS = reader.bool("ignore_eos") ?? false
    minTokens = reader.int("min_tokens") ?? 0
    skipSpecialTokens = reader.bool("skip_special_tokens") ?? true
    n = reader.int("n") ?? 1
    promptLogprobs = reader.int("prompt_logprobs")
    badWords = reader.list("bad_words").flatMap { reader.strings($0, "bad_words") } ?? []
    constraint = try OutputConstraint(&reader)
  }

  private static func stop(_ reader: inout FieldReader) -> [String] {
    if case .string(let text)? = reader.present("stop") { return [text] }
    guard let elements = reader.list("stop") else { return [] }
    return reader.strings(elements, "stop") ?? []
  }

  private static func logitBias(_ reader: inout FieldReader) -> [Int32: Double] {
    guard let members = reader.dictionary("logit_bias")?.members else { return [:] }
    var bias: [Int32: Double] = [:]
    for (key, value) in members {
      guard let id = Int32(key), id >= 0 else {
        reader.note(.intParsing, "logit_bias", .string(key))
        continue
      }
      switch value {
      case .integer(let integer): bias[id] = Double(integer)
      case .number(let number): bias[id] = number
      default: reader.note(.floatType, "logit_bias.\(key)", value)
      }
    }
    // As vLLM: clamped, not refused.
    return bias.mapValues { min(100, max(-100, $0)) }
  }

  /// The checks that vLLM makes after the model's name is known to be served.
  /// - Parameter contextLength: prompt and output together, in tokens.
  package func validate(contextLength: Int, vocabularySize: Int) throws(APIError) {
    try validateLimits(contextLength: contextLength)
    try Self.check(temperature >= 0, "temperature must be non-negative, got", "temperature", temperature)
    try Self.check(topP > 0 && topP <= 1, "top_p must be in (0, 1], got", "top_p", topP)
    try Self.check(topK >= -1, "top_k must be 0 (disable), or at least 1, got", "top_k", topK)
    try Self.check((0...1).contains(minP), "min_p must be in [0, 1], got", "min_p", minP)
    try Self.check(
      repetitionPenalty > 0, "repetition_penalty must be greater than zero, got", "repetition_penalty",
      repetitionPenalty)
    for (name, penalty) in [("presence_penalty", presencePenalty), ("frequency_penalty", frequencyPenalty)] {
      try Self.check((-2...2).contains(penalty), "\(name) must be in [-2, 2], got", name, penalty)
    }
    try validateStop()
    try validateLogprobs()
    if badWords.contains(where: { $0.allSatisfy(\.isWhitespace) }) || badWords.count > Self.maximumBadWords {
      throw .badValue(
        "bad_words must be at most \(Self.maximumBadWords) words, none of them empty.", param: "bad_words")
    }
    try validateTokenIDs(vocabularySize: vocabularySize)
  }

  private func validateLimits(contextLength: Int) throws(APIError) {
    try Self.check((1...Self.maximumChoices).contains(n), "n must be in [1, \(Self.maximumChoices)], got", "n", n)
    if n > 1, temperature == 0 {
      throw .badValue("n must be 1 when using greedy sampling, got \(n).", param: "n", value: "\(n)")
    }
    if let maxTokens {
      try Self.check(maxTokens >= 1, "max_tokens must be at least 1, got", "max_tokens", maxTokens)
      if maxTokens > contextLength {
        throw .badValue(
          "max_tokens=\(maxTokens) cannot be greater than max_model_len=\(contextLength). Please request fewer output "
            + "tokens.", param: "max_tokens", value: "\(maxTokens)")
      }
    }
    try Self.check(minTokens >= 0, "min_tokens must be greater than or equal to 0, got", "min_tokens", minTokens)
    if let maxTokens, minTokens > maxTokens {
      throw .badValue(
        "min_tokens must be less than or equal to max_tokens=\(maxTokens), got \(minTokens).", param: "min_tokens",
        value: "\(minTokens)")
    }
  }

  private func validateLogprobs() throws(APIError) {
    for (name, kind, count) in [("logprobs", "sample", logprobs), ("prompt_logprobs", "prompt", promptLogprobs)] {
      guard let count, !(0...Self.maximumLogprobs).contains(count) else { continue }
      throw .badValue(
        "Requested \(kind) logprobs of \(count), which is greater than max allowed: \(Self.maximumLogprobs)",
        param: name, value: "\(count)")
    }
  }

  private func validateStop() throws(APIError) {
    if stop.contains("") { throw .badValue("stop cannot contain an empty string.", param: "stop") }
    let bytes = stop.reduce(0) { $0 + $1.utf8.count }
    if stop.count > Self.maximumStops || bytes > Self.maximumStopBytes {
      throw .badValue(
        "stop has \(stop.count) strings of \(bytes) bytes together, at most \(Self.maximumStops) of "
          + "\(Self.maximumStopBytes) are served.", param: "stop")
    }
  }

  private func validateTokenIDs(vocabularySize: Int) throws(APIError) {
    let named: [(String, [Int32])] = [
      ("logit_bias", Array(logitBias.keys)), ("allowed_token_ids", allowedTokenIDs ?? []),
      ("stop_token_ids", stopTokenIDs),
    ]
    for (name, ids) in named {
      if let id = ids.filter({ Int($0) >= vocabularySize }).min() {
        throw .badValue(
          "\(name) contains token id \(id), which is out of the vocabulary of \(vocabularySize) tokens.", param: name,
          value: "\(id)")
      }
    }
    if allowedTokenIDs?.isEmpty == true {
      throw .badValue("allowed_token_ids is not None and empty!", param: "allowed_token_ids")
    }
  }

  private static func check(
    _ holds: Bool, _ text: String, _ param: String, _ value: some CustomStringConvertible
  ) throws(APIError) {
    if !holds { throw .badValue("\(text) \(value).", param: param, value: "\(value)") }
  }
}
