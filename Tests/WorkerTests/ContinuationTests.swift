import ServingAPI
import Testing

/// A request that moves from one worker to another in the middle of its output.
struct ContinuationTests {
  private static let cases: [KeyValuePairs<String, BodyValue>] = [
    ["temperature": 0, "ignore_eos": true],
    ["temperature": 1, "seed": 42, "ignore_eos": true],
    [
      "temperature": 1, "seed": 7, "ignore_eos": true, "frequency_penalty": .number(0.7),
      "presence_penalty": .number(0.3),
    ],
    ["temperature": 1, "seed": 9, "ignore_eos": true, "logprobs": 2],
    ["temperature": 1, "seed": 11, "min_tokens": 20, "stop_token_ids": [70, 71, 72, 73, 74, 75, 76, 77, 78, 79]],
  ]

  private static func body(_ prompt: BodyValue, _ more: KeyValuePairs<String, BodyValue>) -> BodyValue {
    var fields = BodyValue.Fields()
    fields["prompt"] = prompt
    fields["max_tokens"] = 24
    fields["stream"] = true
    fields["return_token_ids"] = true
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  /// The choices of a stream's chunks, without what only a stream's first chunk has.
  private static func choices(_ answer: Answer) -> [BodyValue] {
    answer.chunks.compactMap { chunk in
      guard case .object(var fields)? = chunk["choices"]?.arrayValue?.first else { return nil }
      fields["prompt_token_ids"] = nil
      return .object(fields)
    }
  }

  private static func ids(_ choice: BodyValue?, _ name: String) -> [Int32] {
    (choice?[name]?.arrayValue ?? []).compactMap { if case .integer(let id) = $0 { Int32(id) } else { nil } }
  }

  @Test(arguments: cases.indices)
  func `After any token another worker goes on as the first would have`(index: Int) async throws {
    try await withWorker { first in
      try await withWorker { second in
        let sampling = Self.cases[index]
        let answer = try await first.complete(Self.body("Hi, é 🦊", sampling))
        let prompt = Self.ids(answer.chunks.first?["choices"]?.arrayValue?.first, "prompt_token_ids")
        let whole = Self.choices(answer)
        #expect(whole.count > 12 && !prompt.isEmpty)
        for count in 1..<whole.count {
          let output = whole.prefix(count).flatMap { Self.ids($0, "token_ids") }
          var fields = sampling.map { ($0.key, $0.value) }
          fields.append(("max_tokens", BodyValue(24 - count)))
          fields = fields.map { $0.0 == "min_tokens" ? ("min_tokens", BodyValue(max(0, 20 - count))) : $0 }
          fields.append(("xpyd_output_tokens", BodyValue(count)))
          var rest = BodyValue.Fields()
          if case .object(let base) = Self.body(BodyValue(prompt + output), [:]) { rest = base }
          for (key, value) in fields { rest[key] = value }
          let continued = try await second.complete(.object(rest))
          #expect(continued.headers["x-xpyd-continued"] == "\(count)")
          #expect(Self.choices(continued) == Array(whole.dropFirst(count)), "after \(count)")
        }
      }
    }
  }

  @Test func `A stop string that begins before the move is found after it`() async throws {
    try await withWorker { worker in
      let plain = try await worker.complete(Self.body("Hello", ["temperature": 1, "seed": 3]))
      let text = Array(plain.output().unicodeScalars)
      var stop = String.UnicodeScalarView()
      stop.append(contentsOf: text[6..<12])
      let request: KeyValuePairs<String, BodyValue> = ["temperature": 1, "seed": 3, "stop": [.string(String(stop))]]
      let answer = try await worker.complete(Self.body("Hello", request))
      let whole = Self.choices(answer)
      let prompt = Self.ids(answer.chunks.first?["choices"]?.arrayValue?.first, "prompt_token_ids")
      #expect(whole.last?["stop_reason"] == .string(String(stop)))
      for count in 1..<whole.count {
        let output = whole.prefix(count).flatMap { Self.ids($0, "token_ids") }
        let continued = try await worker.complete(
          Self.body(
            BodyValue(prompt + output),
            [
              "temperature": 1, "seed": 3, "stop": [.string(String(stop))], "max_tokens": BodyValue(24 - count),
              "xpyd_output_tokens": BodyValue(count),
            ]))
        #expect(Self.choices(continued) == Array(whole.dropFirst(count)), "after \(count)")
      }
    }
  }

  @Test(
    arguments: [
      (["prompt": "text", "xpyd_output_tokens": 1], "more token ids"),
      (["prompt": [70, 71], "xpyd_output_tokens": 2], "more token ids"),
      (["prompt": [70, 71], "xpyd_output_tokens": -1], "more token ids"),
      (["prompt": [70, 71], "xpyd_output_tokens": 1, "n": 2], "more token ids"),
      (["prompt": [70, 71], "xpyd_output_tokens": 1, "echo": true], "more token ids"),
      (["prompt": [70, 71], "xpyd_output_tokens": "many"], "xpyd_output_tokens"),
    ] as [(BodyValue, String)])
  func `Earlier output that cannot be is a 400`(body: BodyValue, text: String) async throws {
    try await withWorker { worker in
      let answer = try await worker.complete(body)
      #expect(answer.status == 400 && answer.text.contains(text), "\(answer.text)")
    }
  }
}
