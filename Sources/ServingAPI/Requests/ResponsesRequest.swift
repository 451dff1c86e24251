/// The body of OpenAI's `POST /v1/responses`, read as the chat request that it is.
package struct ResponsesRequest: Sendable, Equatable {
  package var chat: ChatCompletionRequest
  /// What the answer repeats of the request.
  package var repeated: BodyValue.Fields

  /// They mean the same to the chat endpoint; those from `seed` on are vLLM's.
  private static let shared = [
    "model", "temperature", "top_p", "stream", "parallel_tool_calls", "user", "metadata", "request_id", "cache_salt",
    "kv_transfer_params", "seed", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "logit_bias", "stop", "include_stop_str_in_output", "ignore_eos", "skip_special_tokens", "min_tokens",
    "structured_outputs", "chat_template_kwargs", "priority", "vllm_xargs", "chat_template", "mm_processor_kwargs",
  ]
  private static let unsupported = [
    "background", "context_management", "conversation", "include", "max_tool_calls", "moderation",
    "previous_response_id", "prompt", "top_logprobs", "enable_response_messages", "previous_input_messages",
  ]

  package init(_ fields: BodyValue.Fields, defaults: SamplingDefaults = SamplingDefaults()) throws(APIError) {
    var reader = FieldReader(fields)
    let limit = reader.int("max_output_tokens")
    let instructions = reader.string("instructions")
    let text = reader.dictionary("text")
    let messages = try ResponsesInput.messages(&reader, instructions: instructions)
    try reader.finish()
    try UnsupportedFields.refuse(Self.unsupported, in: fields)
    try Self.refuseReasoning(fields["reasoning"])
    if let truncation = reader.string("truncation"), truncation != "disabled" {
      throw UnsupportedFields.unsupported("truncation")
    }
    if let limit, limit < 1 {
      throw .badValue(
        "max_output_tokens must be at least 1, got \(limit).", param: "max_output_tokens", value: "\(limit)")
    }
    var chat = BodyValue.Fields()
    for name in Self.shared { chat[name] = fields[name] }
    chat["messages"] = .array(messages)
    chat["max_completion_tokens"] = limit.map { BodyValue($0) }
    chat["response_format"] = try Self.format(text)
    chat["tools"] = try Self.tools(fields["tools"])
    chat["tool_choice"] = try Self.toolChoice(fields["tool_choice"])
    self.chat = try ChatCompletionRequest(chat, defaults: defaults)
    if self.chat.sampling.constraint?.field == "response_format" { self.chat.sampling.constraint?.field = "text" }
    repeated = Self.repeated(fields, defaults, limit: limit)
  }

  /// Reasoning is not told apart from the output here, so that none may be asked for.
  private static func refuseReasoning(_ value: BodyValue?) throws(APIError) {
    guard case .object(let fields)? = value else { return }
    for (key, value) in fields.members where value != .null && value != "none" {
      throw UnsupportedFields.unsupported("reasoning.\(key)")
    }
  }

  /// `text.format` as the chat endpoint's `response_format`.
  private static func format(_ text: BodyValue.Fields?) throws(APIError) -> BodyValue? {
    if let verbosity = text?["verbosity"], verbosity != .null, verbosity != "medium" {
      throw UnsupportedFields.unsupported("text.verbosity")
    }
    guard let format = text?["format"], format != .null else { return nil }
    switch format["type"] {
    case "text": return nil
    case "json_object": return ["type": "json_object"]
    case "json_schema": return ["type": "json_schema", "json_schema": format]
    default: throw UnsupportedFields.unsupported("text.format")
    }
  }

  private static func tools(_ value: BodyValue?) throws(APIError) -> BodyValue? {
    guard let tools = value?.arrayValue else { return value }
    var functions: [BodyValue] = []
    for (index, tool) in tools.enumerated() {
      guard tool["type"] == "function", case .object(var function) = tool else {
        throw .badValue("tools[\(index)] is no function, and no others are served.", param: "tools")
      }
      function["type"] = nil
      functions.append(["type": "function", "function": .object(function)])
    }
    return .array(functions)
  }

  private static func toolChoice(_ value: BodyValue?) throws(APIError) -> BodyValue? {
    guard case .object? = value else { return value }
    guard value?["type"] == "function", let name = value?["name"] else {
      throw UnsupportedFields.unsupported("tool_choice")
    }
    return ["type": "function", "function": ["name": name]]
  }

  private static func repeated(
    _ fields: BodyValue.Fields, _ defaults: SamplingDefaults, limit: Int?
  ) -> BodyValue.Fields {
    func given(_ name: String, or standard: BodyValue = .null) -> BodyValue {
      fields[name].flatMap { $0 == .null ? nil : $0 } ?? standard
    }
    var repeated = BodyValue.Fields()
    repeated.append("instructions", given("instructions"))
    repeated.append("max_output_tokens", limit.map { BodyValue($0) } ?? .null)
    repeated.append("metadata", given("metadata", or: [:]))
    repeated.append("parallel_tool_calls", given("parallel_tool_calls", or: true))
    repeated.append("temperature", given("temperature", or: .number(defaults.temperature)))
    repeated.append("text", given("text", or: ["format": ["type": "text"]]))
    repeated.append("tool_choice", given("tool_choice", or: "auto"))
    repeated.append("tools", given("tools", or: []))
    repeated.append("top_p", given("top_p", or: .number(defaults.topP)))
    repeated.append("user", given("user"))
    return repeated
  }
}
