import ServingAPI
import Testing

/// `/v1/responses` and `/v1/messages`: requests as the chat's that they are, answers in blocks.
struct BlockAnswerTests {
  private func fields(_ json: String) throws -> BodyValue.Fields {
    try RequestBody.parse(Array(json.utf8), contentType: "application/json")
  }

  private let head = ResponseHead(id: "resp_1", created: 7, model: "m", systemFingerprint: "f")

  @Test func `Items of a response's input are a chat's messages`() throws {
    let request = try ResponsesRequest(
      fields(
        #"""
        {"instructions":"Be short.","max_output_tokens":9,"temperature":0,"input":[
          {"role":"developer","content":"d"},{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},
          {"type":"function_call","call_id":"c","name":"f","arguments":"{\"x\":1}"},
          {"type":"function_call_output","call_id":"c","output":"r"}],
         "text":{"format":{"type":"json_schema","name":"s","schema":{"type":"object"}}},
         "tools":[{"type":"function","name":"f","parameters":{}}],"tool_choice":"none"}
        """#))
    #expect(
      request.chat.messages.compactMap { $0["role"]?.stringValue } == ["system", "system", "user", "assistant", "tool"])
    #expect(request.chat.messages[2]["content"] == "a" && request.chat.messages[4]["tool_call_id"] == "c")
    #expect(request.chat.messages[3]["tool_calls"]?.arrayValue?.first?["function"]?["arguments"] == ["x": 1])
    #expect(request.chat.sampling.maxTokens == 9 && request.chat.sampling.temperature == 0)
    #expect(request.chat.sampling.constraint == OutputConstraint(.jsonSchema(#"{"type":"object"}"#), field: "text"))
    #expect(request.chat.tools?.definitions.first?["function"]?["name"] == "f")
    #expect(request.repeated["instructions"] == "Be short." && request.repeated["top_p"] == .number(1))
  }

  @Test(arguments: [
    (#""previous_response_id":"r""#, "previous_response_id"), (#""background":true"#, "background"),
    (#""max_output_tokens":0"#, "max_output_tokens"), (#""max_output_tokens":"x""#, "body.max_output_tokens"),
    (#""reasoning":{"effort":"high"}"#, "reasoning.effort"), (#""truncation":"auto""#, "truncation"),
    (#""tools":[{"type":"web_search"}]"#, "tools"), (#""input":[{"type":"reasoning"}]"#, "input"),
    (#""input":[{"role":"user","content":[{"type":"input_image"}]}]"#, "input"), (#""input":7"#, "body.input"),
    (#""text":{"format":{"type":"xml"}}"#, "text.format"), (#""include":["x"]"#, "include"),
    (#""top_logprobs":2"#, "top_logprobs"), (#""tool_choice":{"type":"mcp"}"#, "tool_choice"),
  ])
  func `What a response cannot be is a 400 that names it`(json: String, param: String) throws {
    let body = json.contains("\"input\"") ? "{\(json)}" : "{\"input\":\"a\",\(json)}"
    let error = try #require(throws: APIError.self) { try ResponsesRequest(fields(body)) }
    #expect(error.status == 400 && error.param == param)
  }

  @Test func `Blocks of a message are a chat's messages`() throws {
    let request = try MessagesRequest(
      fields(
        #"""
        {"max_tokens":5,"system":[{"type":"text","text":"s"}],"stop_sequences":["e"],"thinking":{"type":"disabled"},
         "tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"},"messages":[
          {"role":"user","content":"a"},
          {"role":"assistant","content":[{"type":"text","text":"b"},{"type":"tool_use","id":"t","name":"f","input":{"x":1}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"},{"type":"text","text":"c"}]},
          {"role":"assistant","content":"So "}]}
        """#))
    #expect(
      request.chat.messages.compactMap { $0["role"]?.stringValue }
        == ["system", "user", "assistant", "tool", "user", "assistant"])
    #expect(request.chat.messages[2]["tool_calls"]?.arrayValue?.first?["function"]?["arguments"] == ["x": 1])
    #expect(request.chat.messages[3]["content"] == "r")
    #expect(request.chat.sampling.maxTokens == 5 && request.chat.sampling.stop == ["e"])
    #expect(request.chat.template.continueFinalMessage && !request.chat.template.addGenerationPrompt)
  }

  @Test(arguments: [
    (#""messages":[{"role":"user","content":"a"}]"#, "body.max_tokens"), (#""max_tokens":1"#, "body.messages"),
    (#""max_tokens":1,"messages":[]"#, "messages"),
    (#""max_tokens":1,"messages":[{"role":"system","content":"a"}]"#, "messages"),
    (#""max_tokens":1,"messages":[{"role":"user","content":[{"type":"image"}]}]"#, "messages"),
    (#""max_tokens":1,"system":7,"messages":[{"role":"user","content":"a"}]"#, "system"),
    (#""max_tokens":1,"thinking":{"type":"enabled"},"messages":[{"role":"user","content":"a"}]"#, "thinking"),
    (#""max_tokens":1,"tools":[{"type":"bash","name":"b"}],"messages":[{"role":"user","content":"a"}]"#, "tools"),
    (#""max_tokens":1,"stop_sequences":"x","messages":[{"role":"user","content":"a"}]"#, "body.stop_sequences"),
  ])
  func `What a message cannot be is a 400 that names it`(json: String, param: String) throws {
    let error = try #require(throws: APIError.self) { try MessagesRequest(fields("{\(json)}")) }
    #expect(error.status == 400 && error.param == param)
    #expect(error.messagesBody["error"]?["type"] == "invalid_request_error")
  }

  @Test func `Text and calls are blocks, each opened and closed once`() {
    var output = OutputBlocks()
    var steps = output.take(text: "a", calls: [])
    steps += output.take(text: "b", calls: [ToolCallDelta(index: 0, id: "x", name: "f")])
    steps += output.take(text: "", calls: [ToolCallDelta(index: 0, arguments: "{}")])
    steps += output.end()
    let call = ToolCallDelta(index: 0, id: "x", name: "f", arguments: "{}")
    #expect(output.blocks == [.text("ab"), .call(call)] && output.hasCalls)
    #expect(
      steps == [
        .opened(index: 0, .text("")), .gainedText(index: 0, "a"), .gainedText(index: 0, "b"),
        .closed(index: 0, .text("ab")), .opened(index: 1, .call(ToolCallDelta(index: 0, id: "x", name: "f"))),
        .gainedArguments(index: 1, "{}"), .closed(index: 1, .call(call)),
      ])
    var empty = OutputBlocks()
    #expect(empty.end() == [.opened(index: 0, .text("")), .closed(index: 0, .text(""))])
  }

  @Test func `A response's stream ends with the response that a whole answer is`() {
    let usage = Usage(promptTokens: 3, completionTokens: 2)
    let whole = ResponsesAnswer.body(
      head, repeated: BodyValue.Fields(), text: "ab", calls: [], end: ChoiceEnd(.length), usage: usage, handoff: .null)
    var answer = ResponsesAnswer(head, repeated: BodyValue.Fields())
    var events = answer.events(text: "a", calls: [], end: nil, usage: usage)
    events += answer.events(text: "b", calls: [], end: ChoiceEnd(.length), usage: usage)
    let data = events.map { event in if case .typed(let value) = event { value } else { BodyValue.null } }
    #expect(
      data.compactMap { $0["type"]?.stringValue?.replacing("response.", with: "") } == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "incomplete",
      ])
    #expect(data.map { $0["sequence_number"] } == (0..<10).map { BodyValue($0) })
    #expect(data.last?["response"] == whole && whole["incomplete_details"]?["reason"] == "max_output_tokens")
    #expect(whole["output"]?.arrayValue?.first?["content"]?.arrayValue?.first?["text"] == "ab")
  }

  @Test(arguments: [
    (ChoiceEnd(.stop), "end_turn", BodyValue.null), (ChoiceEnd(.length), "max_tokens", .null),
    (ChoiceEnd(.stop, stopReason: "x"), "stop_sequence", "x"),
  ])
  func `A message's stream tells its end as the whole one does`(end: ChoiceEnd, reason: String, sequence: BodyValue) {
    let usage = Usage(promptTokens: 3, completionTokens: 2)
    let whole = MessagesAnswer.body(head, text: "ab", calls: [], end: end, usage: usage, handoff: .null)
    var answer = MessagesAnswer(head)
    let events = answer.events(text: "ab", calls: [], end: end, usage: usage)
    let data = events.map { event in if case .typed(let value) = event { value } else { BodyValue.null } }
    #expect(
      data.compactMap { $0["type"]?.stringValue } == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
      ])
    #expect(whole["stop_reason"] == .string(reason) && data[4]["delta"]?["stop_reason"] == .string(reason))
    #expect(whole["stop_sequence"] == sequence && data[4]["usage"]?["output_tokens"] == 2)
    #expect(events[0].frame.starts(with: Array("event: message_start\ndata: {".utf8)))
  }
}
