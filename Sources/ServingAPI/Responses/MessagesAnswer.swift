/// The answers of `/v1/messages`: Anthropic's message object, whole, and as it grows in a stream.
package struct MessagesAnswer: Sendable {
  private let head: ResponseHead
  private var output = OutputBlocks()
  private var hasBegun = false

  /// - Parameter head: Its id is `msg_…`.
  package init(_ head: ResponseHead) { self.head = head }

  // MARK: Whole

  package static func body(
    _ head: ResponseHead, text: String, calls: [ToolCallDelta], end: ChoiceEnd?, usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    var answer = MessagesAnswer(head)
    _ = answer.output.take(text: text, calls: calls)
    _ = answer.output.end()
    var fields = answer.message(end: end, usage: usage)
    if handoff != .null { fields.append("kv_transfer_params", handoff) }
    return .object(fields)
  }

  private func message(end: ChoiceEnd?, usage: Usage) -> BodyValue.Fields {
    var fields = BodyValue.Fields()
    fields.append("id", .string(head.id))
    fields.append("type", "message")
    fields.append("role", "assistant")
    fields.append("model", .string(head.model))
    fields.append("content", end == nil ? [] : .array(output.blocks.map(Self.content)))
    append(end, to: &fields)
    fields.append("usage", Self.counts(usage))
    return fields
  }

  private static func counts(_ usage: Usage) -> BodyValue {
    ["input_tokens": BodyValue(usage.promptTokens), "output_tokens": BodyValue(usage.completionTokens)]
  }

  private func append(_ end: ChoiceEnd?, to fields: inout BodyValue.Fields) {
    var (reason, sequence) = (BodyValue.null, BodyValue.null)
    switch (end?.reason, end?.stopReason) {
    case (nil, _): break
    case (.length, _): reason = "max_tokens"
    case _ where output.hasCalls: reason = "tool_use"
    case (_, .string(let text)?): (reason, sequence) = ("stop_sequence", .string(text))
    default: reason = "end_turn"
    }
    fields.append("stop_reason", reason)
    fields.append("stop_sequence", sequence)
  }

  private static func content(_ block: OutputBlocks.Block) -> BodyValue {
    switch block {
    case .text(let text): ["type": "text", "text": .string(text)]
    case .call(let call):
      [
        "type": "tool_use", "id": BodyValue(call.id), "name": BodyValue(call.name),
        // Arguments that `max_tokens` cut off are no JSON.
        "input": (try? BodyParser.parse(Array(call.arguments.utf8))) ?? [:],
      ]
    }
  }

  // MARK: A stream

  /// - Parameter usage: Of the answer so far.
  package mutating func events(
    text: String, calls: [ToolCallDelta], end: ChoiceEnd?, usage: Usage
  ) -> [ServerSentEvent] {
    var events: [ServerSentEvent] = []
    if !hasBegun {
      let nothing = Usage(promptTokens: usage.promptTokens, completionTokens: 0)
      events.append(.typed(["type": "message_start", "message": .object(message(end: nil, usage: nothing))]))
      hasBegun = true
    }
    events += output.take(text: text, calls: calls).map(Self.event)
    guard let end else { return events }
    events += output.end().map(Self.event)
    var delta = BodyValue.Fields()
    append(end, to: &delta)
    events.append(.typed(["type": "message_delta", "delta": .object(delta), "usage": Self.counts(usage)]))
    events.append(.typed(["type": "message_stop"]))
    return events
  }

  private static func event(_ step: OutputBlocks.Step) -> ServerSentEvent {
    switch step {
    case .opened(let index, let block):
      .typed(["type": "content_block_start", "index": BodyValue(index), "content_block": content(block)])
    case .gainedText(let index, let text):
      delta(index, ["type": "text_delta", "text": .string(text)])
    case .gainedArguments(let index, let arguments):
      delta(index, ["type": "input_json_delta", "partial_json": .string(arguments)])
    case .closed(let index, _): .typed(["type": "content_block_stop", "index": BodyValue(index)])
    }
  }

  private static func delta(_ index: Int, _ delta: BodyValue) -> ServerSentEvent {
    .typed(["type": "content_block_delta", "index": BodyValue(index), "delta": delta])
  }
}

extension APIError {
  /// As Anthropic's API words it.
  package var messagesBody: BodyValue {
    let type =
      switch status {
      case 401: "authentication_error"
      case 404: "not_found_error"
      case 413: "request_too_large"
      case 429: "rate_limit_error"
      case 503: "overloaded_error"
      case 400..<500: "invalid_request_error"
      default: "api_error"
      }
    return ["type": "error", "error": ["type": .string(type), "message": .string(message)]]
  }
}
