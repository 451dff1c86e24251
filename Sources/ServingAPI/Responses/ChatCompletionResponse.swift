/// The answers of `/v1/chat/completions`; keys and their order are vLLM's.
package enum ChatCompletionResponse {
  package struct Choice: Sendable {
    package var index: Int
    package var text: String
    package var logprobs: [TextLogprob]?
    package var end: ChoiceEnd?
    /// Only if the request asked for ids.
    package var tokenIDs: [Int32]?
    package var toolCalls: [ToolCallDelta] = []

    package init(index: Int, text: String, logprobs: [TextLogprob]?, end: ChoiceEnd?) {
      self.index = index
      self.text = text
      self.logprobs = logprobs
      self.end = end
    }
  }

  package static func body(
    _ head: ResponseHead, choices: [Choice], usage: Usage, promptTokenIDs: [Int32]?,
    promptLogprobs: PromptLogprobs?, handoff: BodyValue
  ) -> BodyValue {
    var fields = head.fields(object: "chat.completion")
    fields.append("choices", .array(choices.map { choice($0) }))
    fields.append("service_tier", .null)
    fields.append("system_fingerprint", .string(head.systemFingerprint))
    fields.append("usage", usage.json)
    fields.append("prompt_logprobs", promptLogprobs?.json ?? .null)
    fields.append("prompt_token_ids", BodyValue(promptTokenIDs))
    fields.append("prompt_text", .null)
    fields.append("kv_transfer_params", handoff)
    fields.append("ec_transfer_params", .null)
    fields.append("metrics", .null)
    return .object(fields)
  }

  private static func choice(_ choice: Choice) -> BodyValue {
    [
      "index": BodyValue(choice.index),
      "message": message(choice),
      "logprobs": logprobs(choice.logprobs),
      "finish_reason": BodyValue(choice.end?.reason.rawValue),
      "stop_reason": choice.end?.stopReason ?? .null,
      "token_ids": BodyValue(choice.tokenIDs),
      "routed_experts": nil,
    ]
  }

  private static func message(_ choice: Choice) -> BodyValue {
    var fields = BodyValue.Fields()
    fields.append("role", "assistant")
    fields.append("content", choice.text.isEmpty && !choice.toolCalls.isEmpty ? .null : .string(choice.text))
    for key in ["refusal", "annotations", "audio", "function_call"] { fields.append(key, .null) }
    if !choice.toolCalls.isEmpty {
      fields.append("tool_calls", .array(ToolCallDelta.whole(choice.toolCalls).map { $0.json(withIndex: false) }))
    }
    fields.append("reasoning", .null)
    return .object(fields)
  }

  /// What a chunk adds. One that only ends a call has nothing.
  private static func delta(_ choice: Choice) -> BodyValue {
    var fields = BodyValue.Fields()
    if !choice.text.isEmpty || choice.toolCalls.isEmpty { fields.append("content", .string(choice.text)) }
    if !choice.toolCalls.isEmpty {
      fields.append("tool_calls", .array(choice.toolCalls.map { $0.json(withIndex: true) }))
    }
    return .object(fields)
  }

  /// The first chunk of a choice: who speaks, and nothing yet.
  package static func roleChunk(
    _ head: ResponseHead, index: Int, usage: Usage?, promptTokenIDs: [Int32]?
  ) -> BodyValue {
    var fields = head.fields(object: "chat.completion.chunk")
    fields.append(
      "choices",
      [
        [
          "index": BodyValue(index), "delta": ["role": "assistant", "content": ""], "logprobs": nil,
          "finish_reason": nil,
        ]
      ])
    if let usage { fields.append("usage", usage.chunkJSON) }
    fields.append("prompt_token_ids", BodyValue(promptTokenIDs))
    fields.append("prompt_text", .null)
    return .object(fields)
  }

  /// - Parameter isLast: of its choice in a stream that ends without a usage chunk: it bears the fingerprint.
  package static func chunk(_ head: ResponseHead, _ choice: Choice, usage: Usage?, isLast: Bool) -> BodyValue {
    var inner = BodyValue.Fields()
    inner.append("index", BodyValue(choice.index))
    inner.append("delta", delta(choice))
    inner.append("logprobs", logprobs(choice.logprobs))
    inner.append("finish_reason", BodyValue(choice.end?.reason.rawValue))
    if let end = choice.end { inner.append("stop_reason", end.stopReason) }
    inner.append("token_ids", BodyValue(choice.tokenIDs))
    var fields = head.fields(object: "chat.completion.chunk")
    fields.append("choices", [.object(inner)])
    if let usage { fields.append("usage", usage.chunkJSON) }
    if isLast { fields.append("system_fingerprint", .string(head.systemFingerprint)) }
    return .object(fields)
  }

  package static func usageChunk(_ head: ResponseHead, _ usage: Usage) -> BodyValue {
    var fields = head.fields(object: "chat.completion.chunk")
    fields.append("choices", [])
    fields.append("usage", usage.chunkJSON)
    fields.append("system_fingerprint", .string(head.systemFingerprint))
    return .object(fields)
  }

  private static func logprobs(_ tokens: [TextLogprob]?) -> BodyValue {
    guard let tokens else { return .null }
    return [
      "content": .array(
        tokens.map { token in
          guard case .object(var fields) = candidate(token.chosen) else { return .null }
          fields.append("top_logprobs", .array(token.top.map { candidate($0) }))
          return .object(fields)
        })
    ]
  }

  private static func candidate(_ candidate: TextLogprob.Candidate) -> BodyValue {
    [
      "token": .string(candidate.token), "logprob": candidate.value,
      "bytes": .array(candidate.bytes.map { .integer(Int64($0)) }),
    ]
  }
}
