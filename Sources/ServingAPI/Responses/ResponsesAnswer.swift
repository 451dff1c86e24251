/// The answers of `/v1/responses`: OpenAI's response object, whole, and as it grows in a stream.
package struct ResponsesAnswer: Sendable {
  private let head: ResponseHead
  private let repeated: BodyValue.Fields
  private var output = OutputBlocks()
  /// Of the next event.
  private var sequenceNumber = 0

  /// - Parameters:
  ///   - head: Its id is `resp_…`.
  ///   - repeated: The request's fields that the answer repeats.
  package init(_ head: ResponseHead, repeated: BodyValue.Fields) {
    self.head = head
    self.repeated = repeated
  }

  // MARK: Whole

  package static func body(
    _ head: ResponseHead, repeated: BodyValue.Fields, text: String, calls: [ToolCallDelta], end: ChoiceEnd?,
    usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    var answer = ResponsesAnswer(head, repeated: repeated)
    _ = answer.output.take(text: text, calls: calls)
    _ = answer.output.end()
    var fields = answer.response(end: end, usage: usage)
    if handoff != .null { fields.append("kv_transfer_params", handoff) }
    return .object(fields)
  }

  /// - Parameter usage: nil while the answer is being made.
  private func response(end: ChoiceEnd?, usage: Usage?) -> BodyValue.Fields {
    let isCut = end?.reason == .length
    let status = usage == nil ? "in_progress" : isCut ? "incomplete" : "completed"
    var fields = BodyValue.Fields()
    fields.append("id", .string(head.id))
    fields.append("object", "response")
    fields.append("created_at", BodyValue(head.created))
    fields.append("status", .string(status))
    fields.append("error", .null)
    fields.append("incomplete_details", isCut ? ["reason": "max_output_tokens"] : .null)
    fields.append("model", .string(head.model))
    let items = output.blocks.enumerated().map { item($0, $1, statusAtEnd(of: $0, isCut: isCut)) }
    fields.append("output", usage == nil ? [] : .array(items))
    for member in repeated.members { fields.append(member.key, member.value) }
    for name in ["previous_response_id", "reasoning", "service_tier"] { fields.append(name, .null) }
    fields.append("background", false)
    fields.append("store", false)
    fields.append("top_logprobs", 0)
    fields.append("truncation", "disabled")
    fields.append("usage", usage.map(Self.counts) ?? .null)
    return fields
  }

  private static func counts(_ usage: Usage) -> BodyValue {
    [
      "input_tokens": BodyValue(usage.promptTokens), "input_tokens_details": ["cached_tokens": 0],
      "output_tokens": BodyValue(usage.completionTokens), "output_tokens_details": ["reasoning_tokens": 0],
      "total_tokens": BodyValue(usage.promptTokens + usage.completionTokens),
    ]
  }

  private func itemID(_ index: Int, _ block: OutputBlocks.Block) -> BodyValue {
    let name = head.id.dropFirst("resp_".count)
    switch block {
    case .text: return .string("msg_\(name)_\(index)")
    case .call: return .string("fc_\(name)_\(index)")
    }
  }

  private func item(_ index: Int, _ block: OutputBlocks.Block, _ status: String) -> BodyValue {
    switch block {
    case .text(let text):
      [
        "id": itemID(index, block), "type": "message", "status": .string(status), "role": "assistant",
        "content": status == "in_progress" ? [] : [Self.part(text)],
      ]
    case .call(let call):
      [
        "id": itemID(index, block), "type": "function_call", "status": .string(status),
        "call_id": BodyValue(call.id), "name": BodyValue(call.name), "arguments": .string(call.arguments),
      ]
    }
  }

  private func statusAtEnd(of index: Int, isCut: Bool) -> String {
    isCut && index == output.blocks.count - 1 ? "incomplete" : "completed"
  }

  private static func part(_ text: String) -> BodyValue {
    ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
  }

  // MARK: A stream

  /// - Parameter usage: Of the whole answer, if `end` is there.
  package mutating func events(
    text: String, calls: [ToolCallDelta], end: ChoiceEnd?, usage: Usage
  ) -> [ServerSentEvent] {
    var events: [ServerSentEvent] = []
    if sequenceNumber == 0 {
      for type in ["response.created", "response.in_progress"] {
        events.append(event(type, ["response": .object(response(end: nil, usage: nil))]))
      }
    }
    var steps = output.take(text: text, calls: calls)
    if end != nil { steps += output.end() }
    for step in steps { add(step, isCut: end?.reason == .length, to: &events) }
    guard let end else { return events }
    let type = end.reason == .length ? "response.incomplete" : "response.completed"
    events.append(event(type, ["response": .object(response(end: end, usage: usage))]))
    return events
  }

  /// The last event of a stream that fails.
  package static func failure(_ error: APIError) -> BodyValue {
    [
      "type": "error", "code": .string("\(error.status)"), "message": .string(error.message),
      "param": BodyValue(error.param),
    ]
  }

  private mutating func add(_ step: OutputBlocks.Step, isCut: Bool, to events: inout [ServerSentEvent]) {
    switch step {
    case .opened(let index, let block):
      let item = item(index, block, "in_progress")
      events.append(event("response.output_item.added", ["output_index": BodyValue(index), "item": item]))
      guard case .text = block else { return }
      events.append(event("response.content_part.added", place(index, block, ["part": Self.part("")])))
    case .gainedText(let index, let text):
      events.append(
        event(
          "response.output_text.delta",
          place(index, output.blocks[index], ["delta": .string(text), "logprobs": []])))
    case .gainedArguments(let index, let arguments):
      events.append(
        event(
          "response.function_call_arguments.delta", place(index, output.blocks[index], ["delta": .string(arguments)])))
    case .closed(let index, let block):
      switch block {
      case .text(let text):
        events.append(
          event("response.output_text.done", place(index, block, ["text": .string(text), "logprobs": []])))
        events.append(event("response.content_part.done", place(index, block, ["part": Self.part(text)])))
      case .call(let call):
        events.append(
          event(
            "response.function_call_arguments.done",
            place(index, block, ["name": BodyValue(call.name), "arguments": .string(call.arguments)])))
      }
      let item = item(index, block, statusAtEnd(of: index, isCut: isCut))
      events.append(event("response.output_item.done", ["output_index": BodyValue(index), "item": item]))
    }
  }

  /// Names the item that an event is about, and the part of it that text is in.
  private func place(
    _ index: Int, _ block: OutputBlocks.Block, _ more: KeyValuePairs<String, BodyValue>
  ) -> BodyValue.Fields {
    var fields = BodyValue.Fields()
    fields.append("item_id", itemID(index, block))
    fields.append("output_index", BodyValue(index))
    if case .text = block { fields.append("content_index", 0) }
    for (key, value) in more { fields.append(key, value) }
    return fields
  }

  private mutating func event(_ type: String, _ more: KeyValuePairs<String, BodyValue>) -> ServerSentEvent {
    var fields = BodyValue.Fields()
    for (key, value) in more { fields.append(key, value) }
    return event(type, fields)
  }

  private mutating func event(_ type: String, _ more: BodyValue.Fields) -> ServerSentEvent {
    var fields = BodyValue.Fields()
    fields.append("type", .string(type))
    fields.append("sequence_number", BodyValue(sequenceNumber))
    for member in more.members { fields.append(member.key, member.value) }
    sequenceNumber += 1
    return .typed(.object(fields))
  }
}
