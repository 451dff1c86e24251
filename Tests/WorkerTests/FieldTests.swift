import ServingAPI
import Testing
import Worker

/// Fields that ask for more than tokens: scores of the prompt, words that may not come, outputs of a form, calls of tools.
struct FieldTests {
  private static func body(_ more: KeyValuePairs<String, BodyValue>) -> BodyValue {
    var fields = BodyValue.Fields()
    fields["prompt"] = "The capital of France is"
    fields["max_tokens"] = 12
    fields["temperature"] = 0
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  private static func chat(_ more: KeyValuePairs<String, BodyValue>) -> BodyValue {
    guard case .object(var fields) = body(more) else { return .null }
    fields["prompt"] = nil
    fields["messages"] = [["role": "user", "content": "Switch it on"]]
    return .object(fields)
  }

  private static func choice(_ answer: Answer) -> BodyValue { answer.json["choices"]?.arrayValue?.first ?? .null }

  @Test(arguments: [false, true])
  func `Echo with log-probabilities scores the prompt as it scores an output`(streamed: Bool) async throws {
    try await withWorker { worker in
      let plain = try await worker.complete(Self.body(["logprobs": 2, "return_token_ids": true]))
      let ids = Self.choice(plain)
      let all = (ids["prompt_token_ids"]?.arrayValue ?? []) + (ids["token_ids"]?.arrayValue ?? [])
      let echoed = try await worker.complete(
        Self.body(["prompt": .array(all), "echo": true, "logprobs": 2, "max_tokens": 1, "stream": .bool(streamed)]))
      let lists = (streamed ? echoed.chunks : [echoed.json]).compactMap {
        $0["choices"]?.arrayValue?.first?["logprobs"]
      }
      func list(_ key: String) -> [BodyValue] { lists.flatMap { $0[key]?.arrayValue ?? [] } }
      let scores = list("token_logprobs")
      #expect(scores.count == all.count + 1 && scores[0] == .null && list("top_logprobs")[0] == .null)
      #expect(Array(scores.suffix(13).dropLast()) == ids["logprobs"]?["token_logprobs"]?.arrayValue)
      #expect(list("text_offset")[0] == 0 && list("text_offset").count == scores.count)
      #expect(echoed.output().hasPrefix("The capital of France is" + plain.output()))
      let alone = try await worker.complete(
        Self.body(["prompt": .array(all), "echo": true, "logprobs": 2, "max_tokens": 0]))
      #expect(Self.choice(alone)["logprobs"]?["token_logprobs"]?.arrayValue == Array(scores.dropLast()))
      #expect(alone.json["usage"]?["completion_tokens"] == 0)
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `prompt_logprobs names each token, its place and the best`() async throws {
    try await withWorker { worker in
      for (path, body) in [
        ("/v1/completions", Self.body(["prompt_logprobs": 1])),
        ("/v1/chat/completions", Self.chat(["prompt_logprobs": 1])),
      ] {
        let answer = try await worker.post(path, body)
        let scores = (Self.choice(answer)["prompt_logprobs"] ?? answer.json["prompt_logprobs"])?.arrayValue ?? []
        #expect(BodyValue(scores.count) == answer.json["usage"]?["prompt_tokens"] && scores.first == .null)
        for score in scores.dropFirst() {
          guard case .object(let fields) = score else {
            Issue.record("no object: \(score)")
            return
          }
          #expect((1...2).contains(fields.members.count))
          #expect(fields.members.contains { $0.value["rank"] == 1 })
        }
      }
    }
  }

  @Test func `A bad word does not come, with or without a space`() async throws {
    try await withWorker { worker in
      let free = try await worker.complete(Self.body([:])).output()
      let letter = String(try #require(free.first { $0.isASCII && $0.isLetter }))
      let barred = try await worker.complete(Self.body(["bad_words": [.string(letter)]])).output()
      #expect(!barred.contains(letter))
    }
  }

  @Test func `An output has the form that was asked for, and then it ends`() async throws {
    let schema: BodyValue = [
      "type": "object",
      "properties": ["on": ["type": "boolean"], "n": ["type": "integer", "minimum": 3, "maximum": 12]],
      "required": ["on", "n"],
    ]
    try await withWorker { worker in
      for temperature in [0.0, 1.5] {
        let more: KeyValuePairs<String, BodyValue> = [
          "max_tokens": 200, "temperature": .number(temperature), "seed": 4, "ignore_eos": true, "min_tokens": 150,
          "response_format": ["type": "json_schema", "json_schema": ["name": "s", "schema": schema]],
        ]
        let answer = try await worker.complete(Self.body(more))
        let value = try BodyParser.parse(Array(answer.output().utf8))
        guard case .object(let fields) = value, case .integer(let n)? = fields["n"] else {
          Issue.record("\(value)")
          return
        }
        #expect(fields.keys == ["on", "n"] && (3...12).contains(n))
        #expect(Self.choice(answer)["finish_reason"] == "stop")
        #expect(try await worker.post("/v1/chat/completions", Self.chat(more)).status == 200)
      }
      let choice = try await worker.complete(
        Self.body(["structured_outputs": ["choice": ["yes", "no"]], "stream": true]))
      #expect(["yes", "no"].contains(choice.output()))
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `A schema that is not read is a 400 that names field and keyword`() async throws {
    try await withWorker { worker in
      let answer = try await worker.complete(Self.body(["structured_outputs": ["json": ["not": [:]]]]))
      #expect(answer.status == 400 && answer.json["error"]?["param"] == "structured_outputs.json")
      #expect(answer.json["error"]?["message"]?.stringValue?.contains("'not'") == true)
    }
  }

  private static let tools: BodyValue = [
    [
      "type": "function",
      "function": [
        "name": "switch",
        "parameters": ["type": "object", "properties": ["on": ["type": "boolean"]], "required": ["on"]],
      ],
    ]
  ]

  @Test(arguments: ["required" as BodyValue, ["type": "function", "function": ["name": "switch"]]])
  func `A tool that must be called is called, streamed or not`(choice: BodyValue) async throws {
    try await withWorker { worker in
      let more: KeyValuePairs<String, BodyValue> = [
        "tools": Self.tools, "tool_choice": choice, "max_tokens": 200, "parallel_tool_calls": false,
      ]
      let whole = Self.choice(try await worker.post("/v1/chat/completions", Self.chat(more)))
      let call = whole["message"]?["tool_calls"]?.arrayValue?.first
      let arguments = try #require(call?["function"]?["arguments"]?.stringValue)
      #expect(call?["function"]?["name"] == "switch" && whole["message"]?["content"] == .null)
      #expect(try BodyParser.parse(Array(arguments.utf8))["on"] != nil)
      #expect(whole["finish_reason"] == (choice == "required" ? "tool_calls" : "stop"))
      guard case .object(var fields) = Self.chat(more) else { return }
      fields["stream"] = true
      let chunks = try await worker.post("/v1/chat/completions", .object(fields)).chunks
      let deltas = chunks.flatMap { $0["choices"]?.arrayValue?.first?["delta"]?["tool_calls"]?.arrayValue ?? [] }
      #expect(deltas.first?["function"]?["name"] == "switch" && deltas.first?["index"] == 0)
      #expect(deltas.compactMap { $0["function"]?["arguments"]?.stringValue }.joined() == arguments)
      #expect(chunks.last?["choices"]?.arrayValue?.first?["finish_reason"] == whole["finish_reason"])
    }
  }

  @Test func `Where the model may choose, the worker must know how it writes calls`() async throws {
    try await withWorker { worker in
      let refused = try await worker.post("/v1/chat/completions", Self.chat(["tools": Self.tools]))
      #expect(refused.status == 400 && refused.json["error"]?["param"] == "tool_choice")
      let none = try await worker.post("/v1/chat/completions", Self.chat(["tools": Self.tools, "tool_choice": "none"]))
      #expect(none.status == 200 && !none.output().isEmpty)
    }
    try await withWorker(configure: { $0.toolCallParser = .format(.hermes) }) { worker in
      let text = "<tool_call>{\"name\": \"switch\", \"arguments\": {\"on\": true}}</tool_call>"
      // What a model that knows its tools writes, put into the mouth of one that does not.
      let answer = try await worker.post(
        "/v1/chat/completions",
        Self.chat(["tools": Self.tools, "max_tokens": 200, "structured_outputs": ["choice": [.string(text)]]]))
      let choice = Self.choice(answer)
      #expect(choice["finish_reason"] == "tool_calls")
      #expect(choice["message"]?["tool_calls"]?.arrayValue?.first?["function"]?["arguments"] == #"{"on": true}"#)
    }
  }
}
