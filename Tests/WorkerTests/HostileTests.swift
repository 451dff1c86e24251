import ServingAPI
import TestSupport
import Testing

struct HostileTests {
  @Test func `A client that leaves in mid-stream frees its blocks at once`() async throws {
    try await withWorker { worker in
      let body: BodyValue = ["prompt": "The sea", "max_tokens": 4000, "temperature": 0, "stream": true]
      for _ in 0..<4 {
        let client = try await RawClient.connect(port: worker.worker.port)
        try await client.send(
          TestWorker.request(
            "POST", "/v1/completions", headers: [("Content-Type", "application/json")], body: body.encoded))
        _ = try await client.read { $0.count > 1000 }
        await client.close()
      }
      #expect(try await worker.poolIsFree())
      #expect(try await worker.eventually { worker.worker.statistics.running == 0 })
      #expect(
        try await worker.eventually {
          try await worker.metric("vllm:request_success_total", #"finished_reason="abort""#) == 4
        })
    }
  }

  @Test func `A client that leaves before its whole answer frees its blocks at once`() async throws {
    try await withWorker { worker in
      let body: BodyValue = ["prompt": "The sea", "max_tokens": 4000, "temperature": 0, "n": 1]
      let client = try await RawClient.connect(port: worker.worker.port)
      try await client.send(
        TestWorker.request(
          "POST", "/v1/completions", headers: [("Content-Type", "application/json")], body: body.encoded))
      #expect(try await worker.eventually { worker.worker.statistics.generationTokens > 0 })
      await client.close()
      #expect(try await worker.poolIsFree())
      #expect(try await worker.eventually { worker.worker.statistics.running == 0 })
    }
  }

  private static let seeds = [
    #"{"model":"smollm2","prompt":"The capital","max_tokens":2,"temperature":0.5,"seed":3,"stop":["x"],"logprobs":2}"#,
    #"{"prompt":[5,6,7],"max_tokens":2,"stream":true,"stream_options":{"include_usage":true},"n":2,"top_k":5}"#,
    #"{"messages":[{"role":"user","content":[{"type":"text","text":"Hi é"}]}],"max_tokens":2,"logit_bias":{"7":3}}"#,
    #"{"prompt":"a","max_tokens":1,"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[[1]],"#
      + #""remote_engine_id":"e","remote_request_id":"r-1","remote_host":"127.0.0.1","remote_port":1,"#
      + #""remote_num_tokens":1}}"#,
    #"{"input":["The sea","b"],"encoding_format":"base64","truncate_prompt_tokens":2,"use_activation":false}"#,
  ]

  private static func mutate(_ text: String, _ dice: inout SplitMix64) -> [UInt8] {
    var bytes = Array(text.utf8)
    let extremes = ["null", "-1", "1e400", "[]", "{}", "\"\"", "true", "9223372036854775808", "\"\\ud800\"", "[[[["]
    for _ in 0..<Int.random(in: 1...4, using: &dice) {
      let place = Int.random(in: 0..<max(1, bytes.count), using: &dice)
      switch Int.random(in: 0..<5, using: &dice) {
      case 0 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &dice)
      case 1: bytes.removeSubrange(place..<bytes.count)
      case 2: bytes.insert(contentsOf: Array(extremes.randomElement(using: &dice)!.utf8), at: min(place, bytes.count))
      case 3:
        // A value becomes another: what stands between a colon and the next comma.
        guard let colon = bytes[place...].firstIndex(of: UInt8(ascii: ":")) else { continue }
        let end = bytes[colon...].firstIndex(of: UInt8(ascii: ",")) ?? bytes.count
        bytes.replaceSubrange(colon + 1..<end, with: Array(extremes.randomElement(using: &dice)!.utf8))
      default: bytes.insert(contentsOf: bytes[place...].prefix(20), at: min(place, bytes.count))
      }
    }
    return bytes
  }

  @Test func `500 mutated bodies are each answered with 200 or 4xx, and leave nothing behind`() async throws {
    var dice = SplitMix64(seed: 20_261_123)
    try await withWorker(.both, configure: { $0.engine.maxModelLength = 64 }) { worker in
      for number in 0..<500 {
        let seed = Self.seeds[number % Self.seeds.count]
        let path =
          seed.contains("messages")
          ? "/v1/chat/completions" : seed.contains("input") ? "/v1/embeddings" : "/v1/completions"
        let body = Self.mutate(seed, &dice)
        let answer = try await worker.send(
          "POST", path, headers: [("Content-Type", "application/json")], body: body)
        #expect(
          answer.status == 200 || (400..<500).contains(answer.status),
          "\(answer.status) for \(String(decoding: body, as: UTF8.self))")
      }
      #expect(try await worker.poolIsFree())
      #expect(try await worker.get("/health").status == 200)
    }
  }

  @Test func `A full queue is a 503 that says when to come back`() async throws {
    try await withWorker(configure: {
      $0.engine.maxWaiting = 1
      $0.engine.maxSequences = 1
    }) { worker in
      // One generates, one waits: of so many at once, most are too many.
      let long: BodyValue = ["prompt": "The sea", "max_tokens": 2000, "temperature": 0, "ignore_eos": true]
      let answers = try await withThrowingTaskGroup(of: Answer.self) { group in
        for _ in 0..<32 { group.addTask { try await worker.complete(long) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let refused = answers.filter { $0.status == 503 }
      #expect(!refused.isEmpty && refused.count < answers.count)
      for answer in answers where answer.status != 503 { #expect(answer.status == 200) }
      for answer in refused {
        #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1)
        #expect(answer.json["error"]?["type"] == "ServiceUnavailableError")
      }
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `More choices than may ever wait are a 400 with both numbers`() async throws {
    try await withWorker(configure: { $0.engine.maxWaiting = 5 }) { worker in
      let body: BodyValue = ["prompt": ["a", "b"], "max_tokens": 2, "n": 3]
      let answer = try await worker.complete(body)
      #expect(answer.status == 400)
      #expect(answer.text.contains("6 choices") && answer.text.contains("at most 5"))
    }
  }

  @Test func `A text too long for the context is refused by its bytes, large or huge`() async throws {
    try await withWorker(configure: { $0.engine.maxModelLength = 128 }) { worker in
      // The longest token has 13 bytes, and normal form C shortens a text to a third at most.
      for (bytes, tokens) in [(128 * 39 + 1, 129), (4_000_000, 102_565)] {
        let text = BodyValue.string(String(repeating: "a", count: bytes))
        let answer = try await worker.complete(["prompt": text])
        #expect(answer.status == 400)
        #expect(answer.json["error"]?["message"]?.stringValue?.contains("at least \(tokens) input tokens") == true)
        let chat = try await worker.post("/v1/chat/completions", ["messages": [["role": "user", "content": text]]])
        #expect(chat.status == 400)
        #expect(chat.json["error"]?["message"]?.stringValue?.contains("at least ") == true)
      }
      let cut = try await worker.complete([
        "prompt": .string(String(repeating: "a", count: 200_000)), "truncate_prompt_tokens": 5, "max_tokens": 1,
      ])
      #expect(cut.json["usage"]?["prompt_tokens"] == 5)
    }
  }

  @Test func `A token that only the model knows cannot be asked for`() async throws {
    try await withWorker { worker in
      let answer = try await worker.complete(["prompt": "a", "logit_bias": ["265": 100]])
      #expect(answer.status == 400 && answer.text.contains("logit_bias"))
    }
  }

  @Test(arguments: [
    ("/v1/completions", #"{"prompt":"a","max_tokens":2,"stop":null,"n":null,"stream":null,"logprobs":null}"#, 200),
    ("/v1/completions", #"{"prompt":"a","max_tokens":2,"temperature":2.5,"logprobs":0}"#, 200),
    ("/v1/completions", #"{"prompt":"a","max_tokens":2,"stream":true,"n":2}"#, 200),
    ("/v1/completions", #"{"prompt":"\ud83d\ude00","max_tokens":2}"#, 200),
    ("/v1/completions", #"{"prompt":"\ud83d","max_tokens":2}"#, 400),
    ("/v1/completions", #"{"prompt":[]}"#, 400),
    ("/v1/completions", #"{"prompt":[[]]}"#, 400),
    ("/v1/completions", #"{"prompt":"a","stream_options":{"include_usage":true}}"#, 400),
    ("/v1/chat/completions", #"{"messages":[],"max_tokens":2}"#, 400),
    ("/v1/chat/completions", #"{"messages":[{"role":"system","content":"Be brief"}],"max_tokens":2}"#, 200),
    ("/v1/chat/completions", #"{"messages":[{"role":"user","content":[]}],"max_tokens":2,"tools":null}"#, 200),
    ("/v1/chat/completions", #"{"messages":[{"role":"user","content":null}],"max_tokens":2,"top_logprobs":0}"#, 200),
    ("/v1/chat/completions", #"{"messages":[{"role":"user","content":"a"}],"max_tokens":2,"top_logprobs":2}"#, 400),
  ])
  func `Odd requests are answered as vLLM answers them`(path: String, body: String, status: Int) async throws {
    try await withWorker { worker in
      let answer = try await worker.send(
        "POST", path, headers: [("Content-Type", "application/json")], body: Array(body.utf8))
      #expect(answer.status == status, "\(answer.text)")
    }
  }
}
