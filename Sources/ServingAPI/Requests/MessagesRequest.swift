/// The body of Anthropic's `POST /v1/messages`, read as the chat request that it is.
package struct MessagesRequest: Sendable, Equatable {
  package var chat: ChatCompletionRequest

  /// They mean the same to the chat endpoint; those from `cache_salt` on are vLLM's.
  private static let shared = [
    "model", "temperature", "top_p", "top_k", "stream", "cache_salt", "request_id", "kv_transfer_params",
    "chat_template_kwargs", "priority",
  ]
  private static let unsupported = [
    "container", "context_management", "mcp_servers", "output_config", "output_format",
  ]

  package init(_ fields: BodyValue.Fields, defaults: SamplingDefaults = SamplingDefaults()) throws(APIError) {
    var reader = FieldReader(fields)
    if reader.present("max_tokens") == nil { reader.note(.missing, "max_tokens", .object(fields)) }
    let limit = reader.int("max_tokens")
    let stop = reader.list("stop_sequences").flatMap { reader.strings($0, "stop_sequences") }
    let messages = try MessagesInput.messages(&reader)
    try reader.finish()
    try UnsupportedFields.refuse(Self.unsupported, in: fields)
    if let thinking = fields["thinking"], thinking != .null, thinking["type"] != "disabled" {
      throw UnsupportedFields.unsupported("thinking")
    }
    var chat = BodyValue.Fields()
    for name in Self.shared { chat[name] = fields[name] }
    chat["messages"] = .array(messages)
    chat["max_completion_tokens"] = limit.map { BodyValue($0) }
    chat["stop"] = stop.map { .array($0.map { .string($0) }) }
    chat["tools"] = try Self.tools(fields["tools"])
    try Self.choose(fields["tool_choice"], &chat)
    // The assistant's own last words are to be gone on with.
    if messages.last?["role"] == "assistant" {
      chat["add_generation_prompt"] = false
      chat["continue_final_message"] = true
    }
    self.chat = try ChatCompletionRequest(chat, defaults: defaults)
  }

  private static func tools(_ value: BodyValue?) throws(APIError) -> BodyValue? {
    guard let tools = value?.arrayValue else { return value }
    var functions: [BodyValue] = []
    for (index, tool) in tools.enumerated() {
      guard [nil, .null, "custom"].contains(tool["type"]), let name = tool["name"] else {
        throw .badValue("tools[\(index)] is no tool of the client's own, and no others are served.", param: "tools")
      }
      functions.append([
        "type": "function",
        "function": [
          "name": name, "description": tool["description"] ?? "", "parameters": tool["input_schema"] ?? [:],
        ],
      ])
    }
    return .array(functions)
  }

  private static func choose(_ value: BodyValue?, _ chat: inout BodyValue.Fields) throws(APIError) {
    guard let value, value != .null else { return }
    switch value["type"] {
    case "auto": chat["tool_choice"] = "auto"
    case "none": chat["tool_choice"] = "none"
    case "any": chat["tool_choice"] = "required"
    case "tool": chat["tool_choice"] = ["type": "function", "function": ["name": value["name"] ?? .null]]
    default: throw .badValue("tool_choice.type should be 'auto', 'any', 'tool' or 'none'.", param: "tool_choice")
    }
    if value["disable_parallel_tool_use"] == true { chat["parallel_tool_calls"] = false }
  }
}
