import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let plain = #"{"model":"m", "prompt":"Größe","max_tokens":16,"extra":[1, 2]}"#
private let streamed =
  #"{"model":"m","prompt":"x","max_tokens":16,"stream":true,"stream_options":{"include_usage":true},"min_tokens":3}"#
private let ask =
  #""kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"#
  + #""remote_block_ids":null,"remote_host":null,"remote_port":null}}"#

@Suite(.timeLimit(.minutes(5))) struct TwoLegTests {
  @Test
  func `The prefiller gets one token to compute, the decoder the handoff unread, the client the decoder's answer`()
    async throws
  {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(plain, fields: "X-Request-Id: abc\r\nAuthorization: Bearer k\r\nTE: x\r\n")
      #expect(answer.head.hasPrefix("HTTP/1.1 200 OK"))
      #expect(answer.head.contains("x-engine: d1") && answer.head.contains("x-request-id: abc"))
      #expect(answer.body.hasPrefix(#"{"text":"d1""#))
      let prefill = #"{"model":"m", "prompt":"Größe","max_tokens":1,"extra":[1, 2],"#
      #expect(deployment.prefillers[0].bodies == [prefill + ask])
      let decode = plain.dropLast() + #","kv_transfer_params":"# + MockWorker.handoff + "}"
      #expect(deployment.decoders[0].bodies == [String(decode)])
      for worker in [deployment.prefillers[0], deployment.decoders[0]] {
        let headers = worker.requests.entries[0].headers
        #expect(headers["x-request-id"] == ["abc"] && headers["authorization"] == ["Bearer k"] && headers["te"] == [])
      }
    }
  }

  @Test func `A stream is prefilled unstreamed and relayed as it comes`() async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(streamed, path: "/v1/chat/completions")
      #expect(answer.body == MockWorker.events("d1").joined())
      #expect(deployment.prefillers[0].bodies == [#"{"model":"m","prompt":"x","max_tokens":1,"stream":false,"# + ask])
    }
  }

  @Test func `What a client sends as kv_transfer_params reaches nobody`() async throws {
    try await Deployment.run(prefillers: [nil]) { deployment in
      _ = try await deployment.post(#"{"prompt":"x","kv_transfer_params":{"do_remote_prefill":true},"max_tokens":5}"#)
      #expect(deployment.decoders[0].bodies == [#"{"prompt":"x","max_tokens":5}"#])
    }
  }

  @Test(arguments: [
    #"{"prompt":"x","n":2}"#, #"{"prompt":["a","b"]}"#, #"{"prompt":[[1],[2]]}"#, #"{"prompt":"x","best_of":3}"#,
  ])
  func `Several sequences in one request are the decoder's alone`(body: String) async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(body)
      #expect(deployment.prefillers[0].bodies.isEmpty)
      #expect(deployment.decoders[0].bodies == [body])
    }
  }

  @Test(arguments: [#"{"prompt":[1,2,3]}"#, #"{"prompt":["a"],"n":1}"#, #"{"messages":[],"n":null}"#])
  func `One sequence takes both legs`(body: String) async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(body)
      #expect(deployment.prefillers[0].bodies.count == 1 && deployment.decoders[0].bodies.count == 1)
    }
  }

  @Test(arguments: [#"{"prompt":"x","max_tokens":1}"#, #"{"prompt":"x","max_tokens":1,"stream":true}"#])
  func `One token is the prefiller's alone, and no KV moves`(body: String) async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(body)
      #expect(answer.body.contains(#""text":"p1""#))
      #expect(deployment.prefillers[0].bodies == [body])
      #expect(deployment.decoders[0].bodies.isEmpty)
    }
  }

  @Test func `Two prefillers and two decoders meet in all four pairs, evenly`() async throws {
    try await Deployment.run(prefillers: [.answers, .answers], decoders: [.answers, .answers]) { deployment in
      for number in 0..<8 { _ = try await deployment.post(#"{"prompt":"\#(number)"}"#) }
      var pairs: [String: Int] = [:]
      for (p, prefiller) in deployment.prefillers.enumerated() {
        for (d, decoder) in deployment.decoders.enumerated() {
          let prompts = Set(prefiller.bodies.map { $0.prefix(12) })
          pairs["\(p)\(d)"] = decoder.bodies.filter { prompts.contains($0.prefix(12)) }.count
        }
      }
      #expect(pairs == ["00": 2, "01": 2, "10": 2, "11": 2])
    }
  }

  @Test(arguments: PolicyKind.allCases)
  func `Under every policy all four pairs come in time`(kind: PolicyKind) async throws {
    try await Deployment.run(
      prefillers: [.answers, .answers], decoders: [.answers, .answers],
      configure: {
        $0.prefillPolicy = kind
        $0.decodePolicy = kind
      }
    ) { deployment in
      var pairs: Set<String> = []
      // By chance alone a pair is missing after a thousand requests once in 10^124.
      for number in 0..<1_000 where pairs.count < 4 {
        let before = (deployment.prefillers[0].bodies.count, deployment.decoders[0].bodies.count)
        let prompt = String(repeating: "\(number) ", count: 200)
        _ = try await deployment.post(#"{"prompt":"\#(prompt)","user":"\#(number)"}"#)
        let isFirst = (deployment.prefillers[0].bodies.count > before.0, deployment.decoders[0].bodies.count > before.1)
        pairs.insert("\(isFirst)")
      }
      #expect(pairs.count == 4)
    }
  }

  @Test func `Prompts with a common beginning meet the same decoder`() async throws {
    try await Deployment.run(decoders: [.answers, .answers, .answers], configure: { $0.decodePolicy = .prefixAware }) {
      deployment in
      let stem = String(repeating: "once upon a time ", count: 40)
      for number in 0..<20 { _ = try await deployment.post(#"{"prompt":"\#(stem)\#(number)"}"#) }
      #expect(deployment.decoders.map(\.bodies.count).sorted() == [0, 0, 20])
    }
  }

  @Test(arguments: [HandoffKind.lmcache, .none])
  func `Other handoffs send plain bodies`(kind: HandoffKind) async throws {
    try await Deployment.run(configure: { $0.handoff = kind }) { deployment in
      _ = try await deployment.post(#"{"prompt":"x","max_tokens":5}"#)
      #expect(deployment.prefillers[0].bodies == (kind == .none ? [] : [#"{"prompt":"x","max_tokens":1}"#]))
      #expect(deployment.decoders[0].bodies == [#"{"prompt":"x","max_tokens":5}"#])
    }
  }

  @Test func `Events pass byte for byte however they are cut`() async throws {
    let text = "data: {\"a\":1}\r\n\r\n: note\n\ndata: x\ndata: y\n\nid: 3\rdata: z\r\rdata: unfinished"
    for size in [1, 2, 3, 7, 1000] {
      let bytes = Array(text.utf8)
      let pieces = stride(from: 0, to: bytes.count, by: size).map {
        String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self)
      }
      try await Deployment.run(decoders: [.streams(pieces)]) { deployment in
        let got0 = try await deployment.post(streamed)
        #expect(got0.body == text)
      }
    }
  }

  @Test func `What the proxy answers itself`() async throws {
    try await Deployment.run(configure: {
      $0.clientKeys = ["one", "two"]
      $0.workerKey = "w"
    }) { deployment in
      let got1 = try await deployment.get("/health")
      #expect(got1.head.hasPrefix("HTTP/1.1 200"))
      let got2 = try await deployment.get("/nothing")
      #expect(got2.head.hasPrefix("HTTP/1.1 404"))
      let got3 = try await deployment.get("/v1/completions")
      #expect(got3.head.hasPrefix("HTTP/1.1 405"))
      let got4 = try await deployment.post(plain)
      #expect(got4.head.hasPrefix("HTTP/1.1 401"))
      let got5 = try await deployment.post(plain, fields: "Authorization: Bearer two\r\n")
      #expect(got5.head.hasPrefix("HTTP/1.1 200"))
      #expect(deployment.decoders[0].requests.entries[0].headers["authorization"] == ["Bearer w"])
      let got6 = try await deployment.post("{", fields: "Authorization: Bearer one\r\n")
      #expect(got6.head.hasPrefix("HTTP/1.1 400"))
      let models = try await deployment.get("/v1/models", fields: "Authorization: Bearer one\r\n")
      #expect(models.body == #"{"object":"list","data":[{"id":"m","x":1},{"id":"d1"},{"id":"p1"}]}"#)
      let got7 = try await deployment.get("/metrics")
      #expect(got7.body.contains(#"outcome="ok"} 1"#))
      let got8 = try await deployment.get("/stats")
      #expect(got8.body.contains(#""ok":1"#))
      _ = try await deployment.post(#"{"prompt":"x"}"#, path: "/tokenize", fields: "Authorization: Bearer one\r\n")
      #expect(deployment.decoders[0].bodies.last == #"{"prompt":"x"}"#)
    }
  }
}
