/// The answers of `/v1/completions`; keys and their order are vLLM's.
package enum CompletionResponse {
  package struct Choice: Sendable {
    package var index: Int
    package var text: String
    package var logprobs: [TextLogprob]?
    package var end: ChoiceEnd?
    /// Only if the request asked for ids.
    package var tokenIDs: [Int32]?
    package var promptTokenIDs: [Int32]?
    package var promptLogprobs: PromptLogprobs?

    package init(index: Int, text: String, logprobs: [TextLogprob]?, end: ChoiceEnd?) {
      self.index = index
      self.text = text
      self.logprobs = logprobs
      self.end = end
    }

    fileprivate var begin: BodyValue.Fields {
      var fields = BodyValue.Fields()
      fields.append("index", BodyValue(index))
      fields.append("text", .string(text))
      fields.append("logprobs", CompletionResponse.logprobs(logprobs))
      fields.append("finish_reason", BodyValue(end?.reason.rawValue))
      fields.append("stop_reason", end?.stopReason ?? .null)
      return fields
    }
  }

  package static func body(
    _ head: ResponseHead, choices: [Choice], usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    var fields = head.fields(object: "text_completion")
    fields.append(
      "choices",
      .array(
        choices.map { choice in
          var fields = choice.begin
          fields.append("token_ids", BodyValue(choice.tokenIDs))
          fields.append("prompt_logprobs", choice.promptLogprobs?.json ?? .null)
          fields.append("prompt_token_ids", BodyValue(choice.promptTokenIDs))
          fields.append("routed_experts", .null)
          return .object(fields)
        }))
    fields.append("service_tier", .null)
    fields.append("system_fingerprint", .string(head.systemFingerprint))
    fields.append("usage", usage.json)
    fields.append("kv_transfer_params", handoff)
    fields.append("ec_transfer_params", .null)
    fields.append("metrics", .null)
    return .object(fields)
  }

  /// - Parameter isLast: of its choice in a stream that ends without a usage chunk: it bears the fingerprint.
  package static func chunk(_ head: ResponseHead, _ choice: Choice, usage: Usage?, isLast: Bool) -> BodyValue {
    var inner = choice.begin
    inner.append("prompt_token_ids", BodyValue(choice.promptTokenIDs))
    inner.append("token_ids", BodyValue(choice.tokenIDs))
    var fields = head.fields(object: "text_completion")
    fields.append("choices", [.object(inner)])
    if let usage { fields.append("usage", usage.chunkJSON) }
    if isLast { fields.append("system_fingerprint", .string(head.systemFingerprint)) }
    return .object(fields)
  }

  package static func usageChunk(_ head: ResponseHead, _ usage: Usage) -> BodyValue {
    var fields = head.fields(object: "text_completion")
    fields.append("choices", [])
    fields.append("usage", usage.chunkJSON)
    fields.append("system_fingerprint", .string(head.systemFingerprint))
    return .object(fields)
  }

  /// Four parallel lists, as OpenAI's legacy endpoint has them.
  private static func logprobs(_ tokens: [TextLogprob]?) -> BodyValue {
    guard let tokens else { return .null }
    return [
      "text_offset": .array(tokens.map { BodyValue($0.textOffset) }),
      "token_logprobs": .array(tokens.map(\.chosen.value)),
      "tokens": .array(tokens.map { .string($0.chosen.token) }),
      "top_logprobs": .array(tokens.map { $0.chosen.logprob == nil ? .null : top($0) }),
    ]
  }

  /// The best candidates, and the chosen token where it is not among them. Candidates with the same text are one key.
  private static func top(_ token: TextLogprob) -> BodyValue {
    var fields = BodyValue.Fields()
    for candidate in token.top where fields[candidate.token] == nil { fields.append(candidate.token, candidate.value) }
    if fields[token.chosen.token] == nil { fields.append(token.chosen.token, token.chosen.value) }
    return .object(fields)
  }
}
