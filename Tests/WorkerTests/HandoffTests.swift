import Foundation
import KVTransfer
import ServingAPI
import Testing
import Worker

/// Two workers, driven by hand as a router drives them.
struct HandoffTests {
  private static let produce: BodyValue = [
    "do_remote_decode": true, "do_remote_prefill": false, "remote_engine_id": nil, "remote_block_ids": nil,
    "remote_host": nil, "remote_port": nil,
  ]

  private static func body(_ prompt: BodyValue, _ more: KeyValuePairs<String, BodyValue>) -> BodyValue {
    var fields = BodyValue.Fields()
    fields["prompt"] = prompt
    fields["max_tokens"] = 16
    fields["temperature"] = 0
    for (key, value) in more { fields[key] = value }
    return .object(fields)
  }

  private static func prompt(tokens: Int) -> BodyValue {
    BodyValue((0..<tokens).map { Int32(3 + ($0 * 37 + tokens) % 250) })
  }

  private func ticket(_ prefiller: TestWorker, _ prompt: BodyValue) async throws -> BodyValue {
    let answer = try await prefiller.complete(
      Self.body(prompt, ["max_tokens": 1, "kv_transfer_params": Self.produce]))
    #expect(answer.status == 200, "\(answer.text)")
    return answer.json["kv_transfer_params"] ?? .null
  }

  /// A prefiller and a decoder with small pools, and what each test checks of both at its end.
  private func withPair(
    _ transports: TransferConfiguration.Transports = .auto,
    _ body: (_ prefiller: TestWorker, _ decoder: TestWorker) async throws -> Void
  ) async throws {
    try await withWorker(.producer, configure: { $0.transfer.transports = transports }) { prefiller in
      try await withWorker(.consumer, configure: { $0.transfer.transports = transports }) { decoder in
        try await body(prefiller, decoder)
        #expect(try await prefiller.poolIsFree())
        #expect(try await decoder.poolIsFree())
      }
    }
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp], [1, 2, 15, 16, 17, 33, 600])
  func `Disaggregated output is the single worker's, token for token`(
    transports: TransferConfiguration.Transports, tokens: Int
  ) async throws {
    let prompt = Self.prompt(tokens: tokens)
    let requests: [KeyValuePairs<String, BodyValue>] = [
      ["return_token_ids": true], ["return_token_ids": true, "temperature": 1, "seed": 42],
    ]
    let single = try await withWorker { worker in
      var outputs: [BodyValue?] = []
      for request in requests {
        outputs.append(try await worker.complete(Self.body(prompt, request)).json["choices"])
      }
      return outputs
    }
    try await withPair(transports) { prefiller, decoder in
      for (request, expected) in zip(requests, single) {
        guard case .object(var fields) = Self.body(prompt, request) else { return }
        fields["kv_transfer_params"] = try await ticket(prefiller, prompt)
        let answer = try await decoder.complete(.object(fields))
        #expect(answer.json["choices"] == expected)
      }
      // Of a prompt of one token there is nothing to pull: its only token must be computed for the first logits.
      let sources = decoder.worker.statistics.promptTokens
      #expect(sources.computed <= 2 * requests.count && sources.pulled >= tokens - 1)
    }
  }

  @Test func `Who asks for an early ticket gets it in an interim response, before the answer`() async throws {
    let prompt = Self.prompt(tokens: 600)
    let single = try await withWorker { try await $0.complete(Self.body(prompt, ["return_token_ids": true])) }
    try await withPair { prefiller, decoder in
      let client = try await RawClient.connect(port: prefiller.worker.port)
      let body = Self.body(prompt, ["max_tokens": 1, "kv_transfer_params": Self.produce])
      let headers = [("Content-Type", "application/json"), ("X-Xpyd-Early-Ticket", "1")]
      try await client.send(TestWorker.request("POST", "/v1/completions", headers: headers, body: body.encoded))
      let head = try await client.read { String(decoding: $0, as: UTF8.self).contains("\r\n\r\n") }
      let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
      #expect(lines[0] == "HTTP/1.1 103 Early Hints" && lines.contains("server: xpyd"))
      let line = try #require(lines.first { $0.hasPrefix("X-Xpyd-Early-Ticket: ") })
      let ticket = try BodyParser.parse(Array(line.dropFirst(21).utf8))
      #expect(ticket["xpyd_early"] == true && ticket["remote_num_tokens"] == 600)
      #expect(ticket["remote_block_ids"] == [[]])
      guard case .object(var fields) = Self.body(prompt, ["return_token_ids": true]) else { return }
      fields["kv_transfer_params"] = ticket
      let answer = try await decoder.complete(.object(fields))
      #expect(answer.json["choices"] == single.json["choices"])
      #expect(decoder.worker.statistics.promptTokens.pulled == 599)
      // Without the header there is nothing but the answer.
      let usual = try await self.ticket(prefiller, Self.prompt(tokens: 3))
      #expect(usual["xpyd_early"] == nil)
      let release: BodyValue = ["remote_request_id": usual["remote_request_id"] ?? .null]
      #expect(try await prefiller.post("/kv/release", release).status == 200)
      await client.close()
    }
  }

  @Test func `A ticket has vLLM's fields, and ends with the id that the prefiller knows`() async throws {
    let recorded = try #require(Recording.prefillTicket)
    try await withPair { prefiller, decoder in
      let ticket = try await ticket(prefiller, "The sea was calm")
      #expect(Shape.difference(ticket, recorded) == nil)
      #expect(ticket["remote_engine_id"] == .string(prefiller.worker.engineID))
      #expect(ticket["remote_request_id"]?.stringValue?.split(separator: "-").last?.count == 32)
      // Pulled, so that the pool is free again.
      _ = try await decoder.complete(Self.body("The sea was calm", ["kv_transfer_params": ticket]))
    }
  }

  @Test func `A streamed decode on pulled KV is the single worker's text`() async throws {
    try await withPair { prefiller, decoder in
      let expected = try await decoder.complete(Self.body("The sea was calm", [:])).output()
      let ticket = try await ticket(prefiller, "The sea was calm")
      let answer = try await decoder.complete(
        Self.body("The sea was calm", ["kv_transfer_params": ticket, "stream": true]))
      #expect(answer.output() == expected)
    }
  }

  @Test func `A ticket that nobody holds costs a recomputation, not the request`() async throws {
    try await withPair { prefiller, decoder in
      let expected = try await decoder.complete(Self.body("The sea was calm", [:])).output()
      let ticket = try await ticket(prefiller, "The sea was calm")
      for _ in 0..<2 {
        let answer = try await decoder.complete(Self.body("The sea was calm", ["kv_transfer_params": ticket]))
        #expect(answer.status == 200)
        #expect(answer.output() == expected)
      }
      #expect(try await decoder.metric("xpyd:kv_pull_failures_total", #"error_type="unknown_handoff""#) == 1)
      #expect(try await decoder.metric("xpyd:kv_pulls_total") == 1)
      #expect(try await decoder.metric("vllm:nixl_num_failed_transfers_total") == 1)
    }
  }

  @Test func `KV computed from other activations is not taken over`() async throws {
    try await withWorker(.producer, configure: { $0.activations = .int8 }) { prefiller in
      try await withWorker(.consumer) { decoder in
        let expected = try await decoder.complete(Self.body("The sea was calm", [:])).output()
        let ticket = try await ticket(prefiller, "The sea was calm")
        let answer = try await decoder.complete(Self.body("The sea was calm", ["kv_transfer_params": ticket]))
        #expect(answer.output() == expected)
        #expect(try await decoder.metric("xpyd:kv_pull_failures_total", #"error_type="model_mismatch""#) == 1)
      }
    }
  }

  @Test func `Only the first prompt rides on the ticket, the others are computed`() async throws {
    try await withPair { prefiller, decoder in
      let prompts: BodyValue = ["The sea was calm", "Once upon a time"]
      let expected = try await decoder.complete(Self.body(prompts, [:]))
      let ticket = try await ticket(prefiller, prompts)
      let answer = try await decoder.complete(Self.body(prompts, ["kv_transfer_params": ticket]))
      #expect(answer.output(0) == expected.output(0))
      #expect(answer.output(1) == expected.output(1))
    }
  }

  @Test func `A streamed prefill has no place for a ticket, so nothing is published`() async throws {
    try await withWorker(.both) { worker in
      let answer = try await worker.complete(
        Self.body("a", ["max_tokens": 1, "kv_transfer_params": Self.produce, "stream": true]))
      #expect(answer.status == 200)
      #expect(worker.worker.statistics.published == 0)
      #expect(try await worker.poolIsFree())
    }
  }

  @Test func `A handoff that a router gives up is free at once, and costs a decoder a recomputation`() async throws {
    try await withPair { prefiller, decoder in
      let prompt = Self.prompt(tokens: 40)
      let expected = try await decoder.complete(Self.body(prompt, [:])).output()
      let ticket = try await ticket(prefiller, prompt)
      #expect(prefiller.worker.statistics.published == 1)
      for _ in 0..<2 {
        let release: BodyValue = ["remote_request_id": ticket["remote_request_id"] ?? .null]
        #expect(try await prefiller.post("/kv/release", release).status == 200)
      }
      #expect(try await prefiller.poolIsFree())
      let answer = try await decoder.complete(Self.body(prompt, ["kv_transfer_params": ticket]))
      #expect(answer.output() == expected)
      #expect(try await prefiller.post("/kv/release", ["remote_request_id": 5]).status == 400)
    }
  }

  @Test func `A role is changed while the worker runs, and by its name only`() async throws {
    try await withPair { prefiller, decoder in
      for role: BodyValue in ["kv_any", 1, .null] {
        #expect(try await prefiller.post("/kv/role", ["kv_role": role]).status == 400)
      }
      #expect(try await decoder.post("/kv/role", ["kv_role": "kv_producer"]).status == 200)
      let pull = Self.body("ab", ["kv_transfer_params": try await ticket(decoder, "ab")])
      #expect(try await prefiller.complete(pull).status == 400)
      #expect(try await prefiller.post("/kv/role", ["kv_role": "kv_both"]).status == 200)
      let answer = try await prefiller.complete(pull)
      #expect(answer.status == 200)
      let expected = try await decoder.complete(Self.body("ab", [:]))
      #expect(answer.output() == expected.output())
    }
    try await withWorker(nil) { worker in
      let refused = try await worker.post("/kv/role", ["kv_role": "kv_both"])
      #expect(refused.status == 409)
    }
  }

  @Test func `A role refuses what it does not do, and names itself`() async throws {
    try await withPair { prefiller, decoder in
      let ticket = try await ticket(prefiller, "ab")
      let pull = try await prefiller.complete(Self.body("ab", ["kv_transfer_params": ticket]))
      #expect(pull.status == 400 && pull.text.contains("kv_producer"))
      let publish = try await decoder.complete(Self.body("ab", ["kv_transfer_params": Self.produce]))
      #expect(publish.status == 400 && publish.text.contains("kv_consumer"))
      _ = try await decoder.complete(Self.body("ab", ["kv_transfer_params": ticket]))
    }
  }

  @Test func `A ticket of the wrong shape is a 400 that names its field`() async throws {
    try await withWorker(.consumer) { worker in
      let only = try await worker.complete(Self.body("ab", ["kv_transfer_params": ["do_remote_prefill": true]]))
      #expect(only.status == 400 && only.text.contains("remote_block_ids"))
      let text = try await worker.complete(Self.body("ab", ["kv_transfer_params": "yes"]))
      #expect(text.status == 400 && text.text.contains("kv_transfer_params"))
    }
  }

  @Test func `A ticket for another prompt never decodes on the wrong KV`() async throws {
    try await withPair { prefiller, decoder in
      let expected = try await decoder.complete(Self.body("Another prompt, and longer", [:])).output()
      let ticket = try await ticket(prefiller, "The sea was calm")
      let answer = try await decoder.complete(
        Self.body("Another prompt, and longer", ["kv_transfer_params": ticket]))
      #expect(answer.output() == expected)
      #expect(try await decoder.metric("xpyd:kv_pull_failures_total", #"error_type="prompt_mismatch""#) == 1)
      #expect(try await decoder.metric("vllm:nixl_num_failed_transfers_total") == 1)
      _ = try await decoder.complete(Self.body("The sea was calm", ["kv_transfer_params": ticket]))
    }
  }
}
