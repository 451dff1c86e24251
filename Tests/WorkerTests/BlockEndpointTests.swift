import ServingAPI
import Testing
import Worker

/// `/v1/responses` and `/v1/messages` of a worker, and what its keys keep apart.
struct BlockEndpointTests {
  private static func response(_ more: KeyValuePairs<String, BodyValue> = [:]) -> BodyValue {
    var fields = BodyValue.Fields()
    (fields["input"], fields["instructions"]) = ("Switch it on", "Be short.")
    (fields["max_output_tokens"], fields["temperature"]) = (12, 0)
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  private static func message(_ more: KeyValuePairs<String, BodyValue> = [:]) -> BodyValue {
    var fields = BodyValue.Fields()
    (fields["messages"], fields["system"]) = ([["role": "user", "content": "Switch it on"]], "Be short.")
    (fields["max_tokens"], fields["temperature"]) = (12, 0)
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  /// The data of typed events.
  private static func events(_ answer: Answer) -> [BodyValue] {
    answer.text.split(separator: "\n").filter { $0.hasPrefix("data: ") }
      .map { (try? BodyParser.parse(Array($0.dropFirst(6).utf8))) ?? .null }
  }

  @Test func `Both answer with the chat endpoint's text, streamed or not`() async throws {
    try await withWorker { worker in
      let chat = try await worker.post(
        "/v1/chat/completions",
        [
          "messages": [["role": "system", "content": "Be short."], ["role": "user", "content": "Switch it on"]],
          "max_tokens": 12, "temperature": 0,
        ])
      let response = try await worker.post("/v1/responses", Self.response()).json
      let text = response["output"]?.arrayValue?.first?["content"]?.arrayValue?.first?["text"]
      #expect(text == .string(chat.output()) && response["status"] == "incomplete")
      #expect(response["usage"]?["input_tokens"] == chat.json["usage"]?["prompt_tokens"])
      let responses = Self.events(try await worker.post("/v1/responses", Self.response(["stream": true])))
      #expect(responses.compactMap { $0["delta"]?.stringValue }.joined() == chat.output())
      #expect(responses.last?["type"] == "response.incomplete")
      #expect(responses.last?["response"]?["usage"] == response["usage"])
      let message = try await worker.post("/v1/messages", Self.message()).json
      #expect(message["content"]?.arrayValue?.first?["text"] == .string(chat.output()))
      #expect(message["stop_reason"] == "max_tokens" && message["usage"]?["output_tokens"] == 12)
      let messages = Self.events(try await worker.post("/v1/messages", Self.message(["stream": true])))
      #expect(messages.compactMap { $0["delta"]?["text"]?.stringValue }.joined() == chat.output())
      #expect(messages.last?["type"] == "message_stop")
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `A tool that must be called is a call's item and a block of use`() async throws {
    let schema: BodyValue = ["type": "object", "properties": ["on": ["type": "boolean"]], "required": ["on"]]
    try await withWorker { worker in
      let response = try await worker.post(
        "/v1/responses",
        Self.response([
          "tools": [["type": "function", "name": "switch", "parameters": schema]], "tool_choice": "required",
          "max_output_tokens": 200, "parallel_tool_calls": false,
        ])
      ).json
      let call = response["output"]?.arrayValue?.first
      #expect(call?["type"] == "function_call" && call?["name"] == "switch" && response["status"] == "completed")
      let tools: BodyValue = [["name": "switch", "input_schema": schema]]
      let choice: BodyValue = ["type": "tool", "name": "switch"]
      let body = Self.message(["tools": tools, "tool_choice": choice, "max_tokens": 200])
      let message = try await worker.post("/v1/messages", body).json
      let block = message["content"]?.arrayValue?.first
      #expect(block?["type"] == "tool_use" && block?["input"]?["on"] != nil && message["stop_reason"] == "tool_use")
    }
  }

  @Test func `Messages' errors are worded as Anthropic's`() async throws {
    try await withWorker(configure: { $0.apiKeys = ["right"] }) { worker in
      let refused = try await worker.post("/v1/messages", Self.message(), headers: [("x-api-key", "wrong")])
      #expect(refused.status == 401)
      let wrong = try await worker.post("/v1/messages", ["max_tokens": 1], headers: [("x-api-key", "right")])
      #expect(wrong.status == 400 && wrong.json["type"] == "error")
      #expect(wrong.json["error"]?["type"] == "invalid_request_error")
    }
  }

  @Test func `Another key's same prompt is no cache hit, and its answer is the same`() async throws {
    try await withWorker(configure: { $0.apiKeys = ["one", "two"] }) { worker in
      func ask(_ key: String, salt: BodyValue = .null) async throws -> (text: String, hits: Double) {
        let before = try await worker.metric("vllm:prefix_cache_hits_total") ?? 0
        let prompt = String(repeating: "the sea in the other ", count: 20)
        let answer = try await worker.post(
          "/v1/completions", ["prompt": .string(prompt), "max_tokens": 8, "temperature": 0, "cache_salt": salt],
          headers: [("Authorization", "Bearer \(key)")])
        return (answer.output(), (try await worker.metric("vllm:prefix_cache_hits_total") ?? 0) - before)
      }
      let first = try await ask("one")
      let again = try await ask("one")
      let other = try await ask("two")
      let salted = try await ask("one", salt: "s")
      #expect(first.hits == 0 && again.hits > 0 && other.hits == 0 && salted.hits == 0)
      #expect(Set([first.text, again.text, other.text, salted.text]).count == 1)
    }
  }
}
