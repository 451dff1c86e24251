import HTTPServer
import HTTPTestSupport
import NIOCore
import NIOHTTP1
import Proxy
import ServingAPI
import Testing

private func body(_ more: String = "", chat: Bool = false) -> String {
  (chat ? #"{"messages":[{"role":"user","content":"x"}]"# : #"{"prompt":"x""#)
    + #","max_tokens":8,"temperature":0,"stream":true\#(more)}"#
}

private func shortIdle(_ configuration: inout ProxyConfiguration) { configuration.deadlines.idle = .seconds(2) }

@Suite(.timeLimit(.minutes(5))) struct MigrationTests {
  static let usage = #","stream_options":{"include_usage":true}"#
  static let ends: [StreamEnd] =
    (1...8).map { .closes(afterTokens: $0) } + [
      .closes(afterTokens: 0), .hangs(afterTokens: 3), .reportsError(afterTokens: 3), .reportsError(afterTokens: 6),
      .closesBeforeUsage, .closesBeforeDone,
    ]
  static let bodies: [(body: String, path: String)] = [
    (body(), "/v1/completions"),
    (body(usage + #","return_token_ids":true"#), "/v1/completions"),
    (body(usage + #","logprobs":1"#), "/v1/completions"),
    (body(usage, chat: true), "/v1/chat/completions"),
    (body(#","logprobs":true,"top_logprobs":2"#, chat: true), "/v1/chat/completions"),
  ]

  @Test(arguments: ends, bodies.indices)
  func `A stream whose decoder fails goes on as if nothing had happened`(end: StreamEnd, index: Int) async throws {
    let (body, path) = Self.bodies[index]
    for kind in [MockEngineKind.ours, .vllm] {
      let whole = try await Self.answer([.generates(.whole, as: kind)], body, path)
      let migrated = try await Self.answer([.generates(end, as: kind), .generates(.whole, as: kind)], body, path)
      #expect(whole.contains("[DONE]"))
      // Of a decoder that fails before its first event the client has seen nothing, not even its ids.
      if end == .closes(afterTokens: 0), migrated.contains("mpl-d2") {
        #expect(migrated == whole.replacing("mpl-d1", with: "mpl-d2"))
        continue
      }
      // vLLM computes the first half of a character again, which is one more event without text.
      #expect(
        migrated == whole || (kind == .vllm && Self.withoutEmpty(migrated) == Self.withoutEmpty(whole)), "\(kind)")
    }
  }

  private static func withoutEmpty(_ answer: String) -> [Substring] {
    answer.split(separator: "\n\n").filter {
      !$0.contains(#""text":"","logprobs":null"#) && !$0.contains(#"{"content":""},"logprobs":null"#)
    }
  }

  @Test func `A stream may move as often as it is allowed to, then it breaks`() async throws {
    let once = StreamEnd.closes(afterTokens: 2)
    let scripts = Array(repeating: MockWorker.Script.generates(once), count: 3) + [.generates(.whole)]
    let whole = try await Self.answer([.generates(.whole)], body(Self.usage), "/v1/completions")
    #expect(try await Self.answer(scripts, body(Self.usage), "/v1/completions") == whole)
    let broken = try await Self.answer(scripts, body(), "/v1/completions") { $0.migrations = 2 }
    #expect(broken.contains(#""text":" 8""#) == false && broken.contains("The answer is incomplete"))
    #expect(!broken.contains("[DONE]"))
  }

  @Test func `The rest is prefilled by a prefiller and asked for in token ids`() async throws {
    try await Deployment.run(decoders: [.generates(.closes(afterTokens: 2)), .generates(.whole)]) { deployment in
      _ = try await deployment.post(body(chat: true), path: "/v1/chat/completions")
      let prefill = try #require(deployment.prefillers[0].requests.entries.last)
      let rest = try #require(deployment.decoders[1].requests.entries.last)
      #expect(deployment.prefillers[0].bodies.count == 2 && prefill.path == "/v1/completions")
      #expect(rest.path == "/v1/completions")
      let asked = try BodyParser.parse(Array(rest.body.readableBytesView))
      #expect(asked["prompt"] == [0, 1, 2, 3, 4] && asked["xpyd_output_tokens"] == 2)
      #expect(asked["max_tokens"] == 6 && asked["messages"] == nil && asked["temperature"] == 0)
      #expect(asked["kv_transfer_params"] != nil)
      #expect(rest.headers.first(name: "x-request-id") == prefill.headers.first(name: "x-request-id"))
    }
  }

  @Test func `Where all decoders are down, a stream goes to one that has not failed it`() async throws {
    try await Deployment.run(
      prefillers: [], decoders: [.generates(.whole), .generates(.whole), .hangsBeforeHead],
      configure: { configuration in
        // Two streams that hang must end before the third decoder is tried again, two seconds after its stall.
        configuration.deadlines.idle = .milliseconds(600)
        configuration.deadlines.firstToken = .milliseconds(600)
        configuration.handoff = .none
      }
    ) { deployment in
      // One of them meets the third, which is left alone from then on.
      for _ in 0..<3 { _ = try await deployment.post(body()) }
      #expect(deployment.decoders[2].requests.entries.count == 1)
      let before = deployment.decoders.map { $0.requests.entries.count }
      for decoder in deployment.decoders.prefix(2) { decoder.play(.generates(.hangs(afterTokens: 2))) }
      deployment.decoders[2].play(.generates(.whole))
      let answer = try await deployment.post(body())
      #expect(answer.body.contains("[DONE]"))
      #expect(zip(deployment.decoders, before).map { $0.requests.entries.count - $1 } == [1, 1, 1])
    }
  }

  @Test func `The only decoder gets the rest itself`() async throws {
    try await Deployment.run(decoders: [.generates(.hangs(afterTokens: 3))], configure: shortIdle) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(body()))
      await deployment.decoders[0].requests.wait(for: 1)
      deployment.decoders[0].play(.generates(.whole))
      let answer = Deployment.split(await client.receiveAll()).body
      #expect(answer.contains(#""text":" 10""#) && answer.hasSuffix("data: [DONE]\n\n"))
    }
  }

  @Test(
    arguments: [
      (#","temperature":1,"seed":5"#, "seed"), (#","presence_penalty":0.5"#, "penalties"),
      (#","bad_words":["x"]"#, "logits_processors"),
    ])
  func `An engine that cannot go on exactly goes on, and the last chunk says so`(
    more: String, why: String
  ) async throws {
    let request = body(more).replacing(#""temperature":0,"#, with: "")
    let end = StreamEnd.closes(afterTokens: 2)
    let answer = try await Self.answer(
      [.generates(end, as: .vllm), .generates(.whole, as: .vllm)], request, "/v1/completions")
    let note = #""finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}],"#
    #expect(answer.contains(note + #""xpyd":{"migrated":1,"exact":false,"why":"\#(why)"}}"#))
    let ours = try await Self.answer([.generates(end), .generates(.whole)], request, "/v1/completions")
    #expect(!ours.contains("exact") && ours.contains("[DONE]"))
  }

  @Test(
    arguments: [
      #","n":2"#, #","tools":[{"type":"function"}]"#, #","response_format":{"type":"json_object"}"#,
      #","prompt_logprobs":1"#, #","max_tokens":"8""#,
    ])
  func `What cannot be continued ends with an error event`(more: String) async throws {
    let answer = try await Self.answer(
      [.generates(.closes(afterTokens: 2)), .generates(.whole)], body(more), "/v1/completions")
    #expect(answer.contains("The answer is incomplete") && !answer.contains("[DONE]"))
  }

  @Test func `Stop strings are continued by an engine that holds back as the first one did`() async throws {
    let request = body(#","stop":["zz"]"#)
    let end = StreamEnd.closes(afterTokens: 2)
    let whole = try await Self.answer([.generates(.whole)], request, "/v1/completions")
    for (first, second, isWhole) in [
      (MockEngineKind.ours, MockEngineKind.ours, true), (.vllm, .ours, false), (.ours, .vllm, false),
    ] {
      let answer = try await Self.answer(
        [.generates(end, as: first), .generates(.whole, as: second)], request, "/v1/completions")
      #expect((answer == whole) == isWhole)
      #expect(answer.contains("The answer is incomplete") != isWhole)
    }
  }

  @Test func `Streams are not followed where that is switched off`() async throws {
    let answer = try await Self.answer(
      [.generates(.closes(afterTokens: 2)), .generates(.whole)], body(), "/v1/completions"
    ) { $0.migrations = 0 }
    #expect(answer.contains("The answer is incomplete"))
  }

  @Test func `A not-streamed answer that breaks off is asked for again elsewhere`() async throws {
    try await Deployment.run(decoders: [.breaksOffInBody, .answers]) { deployment in
      let answer = try await deployment.post(#"{"prompt":"x","max_tokens":5}"#)
      #expect(answer.body.contains(#""text":"d2""#))
    }
  }

  private static func answer(
    _ decoders: [MockWorker.Script], _ body: String, _ path: String,
    configure: (inout ProxyConfiguration) -> Void = { _ in }
  ) async throws -> String {
    var answer = ""
    // The last token of all may be asked of a prefiller.
    try await Deployment.run(
      prefillers: [.generates(.whole)], decoders: decoders,
      configure: {
        shortIdle(&$0)
        configure(&$0)
      }
    ) { deployment in
      answer = try await deployment.post(body, path: path).body
    }
    return answer
  }
}
