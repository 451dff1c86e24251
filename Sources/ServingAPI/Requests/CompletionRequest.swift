/// The body of `POST /v1/completions`.
package struct CompletionRequest: Sendable, Equatable {
  package enum Prompt: Sendable, Equatable {
    case text(String)
    case tokens([Int32])
  }

  /// At least one; each is answered `sampling.n` times.
  package var prompts: [Prompt]
  package var echo: Bool
  /// `max_tokens` of 0 beside `echo`: the answer is the prompt.
  package var isEchoOnly = false
  /// `xpyd_output_tokens`, a router's word for a request that began at another worker: so many of the prompt's last
  /// token ids are output, and the answer goes on after them.
  package var earlierOutput: Int
  package var sampling: SamplingFields
  package var options: RequestOptions

  /// Where the client names no `max_tokens`: 16 if it sent none, nil (whatever fits) if it sent null, as vLLM.
  package var defaultMaxTokens: Int?
  package static let maximumPrompts = 1024

  package init(_ fields: BodyValue.Fields, defaults: SamplingDefaults = SamplingDefaults()) throws(APIError) {
    var reader = FieldReader(fields)
    var sampling = try SamplingFields(&reader, defaults)
    sampling.maxTokens = reader.int("max_tokens")
    defaultMaxTokens = fields["max_tokens"] == nil ? 16 : nil
    sampling.logprobs = reader.int("logprobs")
    echo = reader.bool("echo") ?? false
    earlierOutput = reader.int("xpyd_output_tokens") ?? 0
    options = try RequestOptions(&reader, addsSpecialTokens: true)
    let prompts = Prompt.list(&reader, "prompt")
    try reader.finish()
    if let logprobs = sampling.logprobs, logprobs < 0 {
      throw .badValue("`logprobs` must be a positive value.", param: "logprobs", value: "\(logprobs)")
    }
    guard let prompts, !prompts.isEmpty, !prompts.contains(where: \.isEmpty) else {
      throw .badValue("Either prompt or prompt_embeds must be provided and non-empty.", param: "prompt")
    }
    guard prompts.count <= Self.maximumPrompts else {
      throw .badValue(
        "prompt has \(prompts.count) entries, at most \(Self.maximumPrompts) are served.", param: "prompt")
    }
    try UnsupportedFields.refuse(UnsupportedFields.ofCompletions, in: fields)
    // As vLLM: nothing but the prompt's own log-probabilities may be wanted.
    if echo, sampling.maxTokens == 0 {
      isEchoOnly = true
      sampling.maxTokens = 1
    }
    if sampling.promptLogprobs != nil, options.streaming != nil {
      throw .badValue("`prompt_logprobs` are not available when `stream=True`.", param: "prompt_logprobs")
    }
    if echo, let logprobs = sampling.logprobs { sampling.promptLogprobs = sampling.promptLogprobs ?? logprobs }
    self.prompts = prompts
    self.sampling = sampling
    try checkEarlierOutput()
  }

  private func checkEarlierOutput() throws(APIError) {
    guard earlierOutput != 0 else { return }
    guard case .tokens(let ids) = prompts[0], prompts.count == 1, sampling.n == 1, !echo, options.truncation == nil,
      earlierOutput > 0, earlierOutput < ids.count
    else {
      throw .badValue(
        "xpyd_output_tokens needs one prompt of more token ids than that, n of 1, and neither echo nor truncation.",
        param: "xpyd_output_tokens", value: "\(earlierOutput)")
    }
  }
}

extension CompletionRequest.Prompt {
  /// A string, strings, token ids, or lists of token ids; what the list holds follows from its first element.
  static func list(_ reader: inout FieldReader, _ key: String) -> [Self]? {
    if case .string(let text)? = reader.present(key) { return [.text(text)] }
    guard let elements = reader.list(key) else { return nil }
    switch elements.first {
    case nil: return []
    case .string: return reader.strings(elements, key)?.map { .text($0) }
    case .array:
      var prompts: [Self] = []
      for (index, element) in elements.enumerated() {
        guard case .array(let ids) = element else {
          reader.note(.listType, "\(key).\(index)", element)
          return nil
        }
        guard let tokens = reader.tokenIDs(ids, "\(key).\(index)") else { return nil }
        prompts.append(.tokens(tokens))
      }
      return prompts
    default: return reader.tokenIDs(elements, key).map { [.tokens($0)] }
    }
  }

  var isEmpty: Bool {
    switch self {
    case .text(let text): text.isEmpty
    case .tokens(let tokens): tokens.isEmpty
    }
  }
}
