import Foundation
import ServingAPI
import Testing
import Worker

/// `/v1/embeddings` of a worker.
struct EmbeddingTests {
  private static func vectors(_ answer: Answer) -> [[Double]] {
    (answer.json["data"]?.arrayValue ?? []).map { item in
      (item["embedding"]?.arrayValue ?? []).map { value in
        switch value {
        case .number(let number): number
        case .integer(let integer): Double(integer)
        default: .nan
        }
      }
    }
  }

  @Test func `Text, texts, ids and lists of ids have the same vectors, of length 1`() async throws {
    try await withWorker { worker in
      let texts = ["The sea", "another", "The sea"]
      var ids: [BodyValue] = []
      for text in texts {
        ids.append(try await worker.post("/tokenize", ["prompt": .string(text)]).json["tokens"] ?? .null)
      }
      let all = try await worker.post("/v1/embeddings", ["input": .array(texts.map { .string($0) })])
      let vectors = Self.vectors(all)
      #expect(vectors.count == 3 && vectors[0] == vectors[2] && vectors[0] != vectors[1])
      for vector in vectors { #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-6 && vector.count == 64) }
      #expect(Self.vectors(try await worker.post("/v1/embeddings", ["input": .array(ids)])) == vectors)
      #expect(Self.vectors(try await worker.post("/v1/embeddings", ["input": ids[1]])) == [vectors[1]])
      #expect(Self.vectors(try await worker.post("/v1/embeddings", ["input": "The sea"])) == [vectors[0]])
      let tokens = ids.reduce(0) { $0 + ($1.arrayValue?.count ?? 0) }
      #expect(all.json["usage"]?["prompt_tokens"] == BodyValue(tokens))
      #expect(all.json["usage"]?["total_tokens"] == BodyValue(tokens))
      #expect(all.json["object"] == "list" && all.json["data"]?.arrayValue?[2]["index"] == 2)
      #expect(try await worker.metric("vllm:request_success_total", #"finished_reason="stop""#) == 8)
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `base64 is the same numbers, and without activation they have another length`() async throws {
    try await withWorker { worker in
      let vector = Self.vectors(try await worker.post("/v1/embeddings", ["input": "The sea"]))[0]
      let packed = try await worker.post("/v1/embeddings", ["input": "The sea", "encoding_format": "base64"])
      let text = packed.json["data"]?.arrayValue?.first?["embedding"]?.stringValue ?? ""
      let bytes = [UInt8](Data(base64Encoded: text) ?? Data())
      let numbers = stride(from: 0, to: bytes.count, by: 4).map { start in
        Double(Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }))
      }
      #expect(numbers == vector)
      let plain = Self.vectors(
        try await worker.post("/v1/embeddings", ["input": "The sea", "use_activation": false]))[0]
      let length = plain.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(length > 1.5 && zip(plain, vector).allSatisfy { abs($0 / length - $1) < 1e-6 })
    }
  }

  @Test func `An input may fill the context, a longer one is cut or refused`() async throws {
    try await withWorker(configure: { $0.engine.maxModelLength = 32 }) { worker in
      let ids = (0..<40).map { Int32(70 + $0) }
      func ask(_ ids: ArraySlice<Int32>, _ cut: BodyValue = .null, _ side: BodyValue = .null) async throws -> Answer {
        try await worker.post(
          "/v1/embeddings",
          ["input": BodyValue(Array(ids)), "truncate_prompt_tokens": cut, "truncation_side": side])
      }
      let long = try await ask(ids[...])
      #expect(long.status == 400 && long.text.contains("32 tokens") && long.text.contains("at least 40 input"))
      let (whole, end) = (Self.vectors(try await ask(ids.suffix(32))), Self.vectors(try await ask(ids[...], -1)))
      #expect(whole.count == 1 && whole == end)
      let (start, cut) = (Self.vectors(try await ask(ids.prefix(5))), Self.vectors(try await ask(ids[...], 5, "right")))
      #expect(start.count == 1 && start == cut && start != whole)
    }
  }

  @Test(arguments: [
    (#"{}"#, "body.input"), (#"{"input":[]}"#, "input"), (#"{"input":""}"#, "input"), (#"{"input":[[1],[]]}"#, "input"),
    (#"{"input":{"a":1}}"#, "body.input"), (#"{"input":[1,"a"]}"#, "body.input.1"), (#"{"input":[99999]}"#, "input"),
    (#"{"input":"a","dimensions":8}"#, "dimensions"), (#"{"input":"a","priority":1}"#, "priority"),
    (#"{"input":"a","encoding_format":"bytes"}"#, "body.encoding_format"),
    (#"{"input":"a","embed_dtype":"float16"}"#, "body.embed_dtype"),
    (#"{"input":"a","padding":"max_length"}"#, "body.padding"),
    (#"{"input":"a","endianness":"big"}"#, "body.endianness"),
    (#"{"messages":[{"role":"user","content":"a"}]}"#, "messages"),
  ])
  func `What is not served is a 400 that names it`(body: String, param: String) async throws {
    try await withWorker { worker in
      let answer = try await worker.send(
        "POST", "/v1/embeddings", headers: [("Content-Type", "application/json")], body: Array(body.utf8))
      #expect(answer.status == 400 && answer.json["error"]?["param"] == .string(param), "\(answer.text)")
    }
  }

  @Test func `More inputs than may ever wait are a 400, and another model a 404`() async throws {
    try await withWorker(configure: { $0.engine.maxWaiting = 2 }) { worker in
      let many = try await worker.post("/v1/embeddings", ["input": ["a", "b", "c"]])
      #expect(many.status == 400 && many.text.contains("3 inputs") && many.text.contains("at most 2"))
      #expect(try await worker.post("/v1/embeddings", ["input": "a", "model": "none"]).status == 404)
    }
  }

  @Test func `Another key's same input is no cache hit`() async throws {
    try await withWorker(configure: { $0.apiKeys = ["one", "two"] }) { worker in
      let body: BodyValue = ["input": .string(String(repeating: "The sea. ", count: 20))]
      var hits: [Int] = []
      var answers: [[[Double]]] = []
      for key in ["one", "two", "one"] {
        answers.append(
          Self.vectors(try await worker.post("/v1/embeddings", body, headers: [("Authorization", "Bearer \(key)")])))
        hits.append(worker.worker.statistics.prefixCacheHits)
      }
      #expect(hits[0] == 0 && hits[1] == 0 && hits[2] > 0)
      #expect(answers[0] == answers[1] && answers[0] == answers[2] && answers[0].count == 1)
    }
  }
}
