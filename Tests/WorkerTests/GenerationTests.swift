import ServingAPI
import Testing

/// What a client gets of one worker, beyond its shape.
struct GenerationTests {
  private static let prompt: BodyValue = "The capital of France is"

  private static func body(_ more: KeyValuePairs<String, BodyValue> = [:]) -> BodyValue {
    var fields = BodyValue.Fields()
    fields["prompt"] = prompt
    fields["max_tokens"] = 24
    fields["temperature"] = 0
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  @Test func `A stream's pieces are the whole answer`() async throws {
    try await withWorker { worker in
      let whole = try await worker.complete(Self.body())
      let streamed = try await worker.complete(Self.body(["stream": true]))
      #expect(!whole.output().isEmpty)
      #expect(streamed.output() == whole.output())
      #expect(whole.json["usage"]?["completion_tokens"] == 24)
    }
  }

  @Test(arguments: [false, true])
  func `A stop string cuts the text before it, and names itself`(streamed: Bool) async throws {
    try await withWorker { worker in
      let full = try await worker.complete(Self.body()).output()
      let stop = String(full.dropFirst(6).prefix(3))
      let expected = full[..<full.firstRange(of: stop)!.lowerBound]
      let answer = try await worker.complete(Self.body(["stop": .string(stop), "stream": .bool(streamed)]))
      #expect(answer.output() == String(expected))
      let last = streamed ? answer.chunks.last : answer.json
      #expect(last?["choices"]?.arrayValue?.first?["finish_reason"] == "stop")
      #expect(last?["choices"]?.arrayValue?.first?["stop_reason"] == .string(stop))
      let shown = try await worker.complete(
        Self.body(["stop": [.string(stop)], "include_stop_str_in_output": true, "stream": .bool(streamed)]))
      #expect(shown.output() == expected + stop)
      // The engine was told to drop both requests; their clients got a whole answer.
      for (reason, count) in [("stop", 2.0), ("abort", 0), ("length", 1)] {
        #expect(try await worker.metric("vllm:request_success_total", "finished_reason=\"\(reason)\"") == count)
      }
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `A stop token ends the choice, and names its id`() async throws {
    try await withWorker { worker in
      let ids = try await worker.complete(Self.body(["return_token_ids": true]))
      let tokens = ids.json["choices"]?.arrayValue?.first?["token_ids"]?.arrayValue ?? []
      let third = try #require(tokens.dropFirst(2).first)
      let answer = try await worker.complete(Self.body(["stop_token_ids": [third]]))
      let choice = answer.json["choices"]?.arrayValue?.first
      #expect(choice?["finish_reason"] == "stop")
      #expect(choice?["stop_reason"] == third)
      #expect(answer.json["usage"]?["completion_tokens"] == BodyValue(tokens.firstIndex(of: third)! + 1))
    }
  }

  @Test func `The last chunk bears the usage, or all of them do`() async throws {
    try await withWorker { worker in
      let usage: BodyValue = ["prompt_tokens": 22, "total_tokens": 46, "completion_tokens": 24]
      let last = try await worker.complete(Self.body(["stream": true, "stream_options": ["include_usage": true]]))
      let counted = try #require(last.chunks.last?["usage"])
      #expect(counted["completion_tokens"] == usage["completion_tokens"])
      #expect(last.chunks.dropLast().allSatisfy { $0["usage"] == nil })
      let all = try await worker.complete(
        Self.body(["stream": true, "stream_options": ["include_usage": true, "continuous_usage_stats": true]]))
      #expect(all.chunks.map { $0["usage"]?["completion_tokens"] } == (1...24).map { BodyValue($0) } + [24])
    }
  }

  @Test func `Echo puts the prompt first, streamed or not`() async throws {
    try await withWorker { worker in
      let plain = try await worker.complete(Self.body()).output()
      for streamed in [false, true] {
        let echoed = try await worker.complete(Self.body(["echo": true, "stream": .bool(streamed)])).output()
        #expect(echoed == "The capital of France is" + plain)
      }
    }
  }

  @Test func `Log-probabilities cover every token, and their pieces are the text`() async throws {
    try await withWorker { worker in
      let answer = try await worker.complete(Self.body(["logprobs": 3]))
      let logprobs = answer.json["choices"]?.arrayValue?.first?["logprobs"]
      let values = logprobs?["token_logprobs"]?.arrayValue ?? []
      #expect(values.count == 24)
      for case .number(let value) in values { #expect(value <= 0) }
      #expect(logprobs?["tokens"]?.arrayValue?.count == 24)
      let streamed = try await worker.complete(Self.body(["logprobs": 3, "stream": true]))
      let offsets = streamed.chunks.compactMap {
        $0["choices"]?.arrayValue?.first?["logprobs"]?["text_offset"]?.arrayValue?.first
      }
      #expect(.array(offsets) == logprobs?["text_offset"])
    }
  }

  @Test func `Choices have seeds of their own, and the same request gives them again`() async throws {
    try await withWorker { worker in
      let body = Self.body(["n": 3, "temperature": 1, "seed": 7])
      let first = try await worker.complete(body)
      let again = try await worker.complete(Self.body(["n": 3, "temperature": 1, "seed": 7, "stream": true]))
      #expect(Set((0..<3).map { first.output($0) }).count == 3)
      for index in 0..<3 { #expect(first.output(index) == again.output(index)) }
      #expect(first.json["usage"]?["completion_tokens"] == 72)
    }
  }

  @Test func `Several prompts are answered in their order`() async throws {
    try await withWorker { worker in
      let one = try await worker.complete(Self.body()).output()
      let other = try await worker.complete(Self.body(["prompt": "Once upon"])).output()
      let both = try await worker.complete(Self.body(["prompt": ["Once upon", Self.prompt]]))
      #expect(both.output(0) == other)
      #expect(both.output(1) == one)
    }
  }

  @Test func `A chat is the completion of its rendered template`() async throws {
    try await withWorker { worker in
      let messages: BodyValue = [["role": "user", "content": "Hi"]]
      let chat = try await worker.post(
        "/v1/chat/completions", ["messages": messages, "max_tokens": 12, "temperature": 0])
      let rendered = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
      #expect(
        chat.output()
          == (try await worker.complete(Self.body(["prompt": .string(rendered), "max_tokens": 12])).output()))
      let streamed = try await worker.post(
        "/v1/chat/completions", ["messages": messages, "max_tokens": 12, "temperature": 0, "stream": true])
      #expect(streamed.output() == chat.output())
      #expect(streamed.chunks.first?["choices"]?.arrayValue?.first?["delta"] == ["role": "assistant", "content": ""])
    }
  }

  @Test func `A chat without a limit goes on to the context's end`() async throws {
    try await withWorker(configure: { $0.engine.maxModelLength = 128 }) { worker in
      let answer = try await worker.post(
        "/v1/chat/completions", ["messages": [["role": "user", "content": "Hi"]], "temperature": 0])
      #expect(answer.json["usage"]?["total_tokens"] == 128)
      #expect(answer.json["choices"]?.arrayValue?.first?["finish_reason"] == "length")
    }
  }

  @Test func `max_tokens null fills the context, as vLLM does`() async throws {
    try await withWorker(configure: { $0.engine.maxModelLength = 128 }) { worker in
      let answer = try await worker.complete(Self.body(["max_tokens": nil]))
      #expect(answer.json["usage"]?["total_tokens"] == 128)
    }
  }

  @Test func `Prompt and output that do not fit together are a 400 with all numbers`() async throws {
    try await withWorker(configure: { $0.engine.maxModelLength = 128 }) { worker in
      let answer = try await worker.complete(Self.body(["max_tokens": 120]))
      #expect(answer.status == 400)
      #expect(answer.json["error"]?["message"]?.stringValue?.contains("you requested 120 output tokens") == true)
      #expect(answer.json["error"]?["message"]?.stringValue?.contains("128") == true)
    }
  }

  @Test func `A prompt is cut to the tokens asked for`() async throws {
    try await withWorker { worker in
      let answer = try await worker.complete(
        Self.body(["prompt": [70, 71, 72, 73], "truncate_prompt_tokens": 2, "return_token_ids": true]))
      #expect(answer.json["choices"]?.arrayValue?.first?["prompt_token_ids"] == [72, 73])
    }
  }

  @Test func `Text becomes tokens and comes back`() async throws {
    try await withWorker { worker in
      let tokens = try await worker.post("/tokenize", ["prompt": "héllo, the 🦊"]).json["tokens"] ?? .null
      #expect(try await worker.post("/detokenize", ["tokens": tokens]).json["prompt"] == "héllo, the 🦊")
      let unknown = try await worker.post("/detokenize", ["tokens": [1_000_000]])
      #expect(unknown.status == 400)
    }
  }
}
