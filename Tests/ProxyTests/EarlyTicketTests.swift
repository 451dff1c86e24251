import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#
private let plain = #"{"prompt":"x","max_tokens":5}"#

/// Prefill legs whose ticket comes before their answer.
@Suite(.timeLimit(.minutes(5))) struct EarlyTicketTests {
  private static func ticket(of prefiller: MockWorker) -> String {
    #""kv_transfer_params":{"remote_request_id":"\#(prefiller.handoffID)"}"#
  }

  @Test(arguments: [streamed, plain])
  func `The decode leg starts while the prefill runs, and its answer is the client's`(body: String) async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [.hangsBeforeHead]) { deployment in
      let (prefiller, decoder) = (deployment.prefillers[0], deployment.decoders[0])
      let client = try await deployment.client()
      client.send(Deployment.request(body))
      await decoder.requests.wait(for: 1)
      #expect(decoder.bodies[0].contains(Self.ticket(of: prefiller)))
      #expect(prefiller.clientsGone.entries.isEmpty, "the prefill was ended")
      await prefiller.endHanging(200)
      await decoder.endHanging(201)
      let answer = Deployment.split(await client.receiveAll())
      #expect(answer.head.hasPrefix("HTTP/1.1 201"))
      #expect(prefiller.bodies.count == 1 && decoder.bodies.count == 1)
    }
  }

  @Test func `A decoder may be faster than the prefill's answer`() async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [.answers]) { deployment in
      for body in [streamed, plain] {
        let answer = try await deployment.post(body)
        #expect(answer.head.hasPrefix("HTTP/1.1 200") && answer.body.contains("d1"))
      }
    }
  }

  @Test func `A prefill that fails behind its ticket leaves the request to the decoder`() async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [.hangsBeforeHead]) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.decoders[0].requests.wait(for: 1)
      await deployment.prefillers[0].endHanging(500)
      while try await !deployment.get("/metrics").body.contains(#"fallbacks_total{reason="prefill_failed"} 1"#) {}
      #expect(deployment.decoders[0].clientsGone.entries.isEmpty, "the decode leg was ended")
      await deployment.decoders[0].endHanging(201)
      #expect(Deployment.split(await client.receiveAll()).head.hasPrefix("HTTP/1.1 201"))
    }
  }

  @Test func `A prefill that takes too long is ended, and the decoder goes on`() async throws {
    try await Deployment.run(
      prefillers: [.publishesEarly], decoders: [.hangsBeforeHead],
      configure: { $0.deadlines.prefill = .milliseconds(200) }
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.decoders[0].requests.wait(for: 1)
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      await deployment.decoders[0].endHanging(201)
      #expect(Deployment.split(await client.receiveAll()).head.hasPrefix("HTTP/1.1 201"))
    }
  }

  @Test(arguments: [MockWorker.Script.streamsErrorFirst, .closesBeforeHead, .status(500)])
  func `A decoder that fails ends the prefill, and another computes the prompt`(fault: MockWorker.Script) async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [fault, .answers]) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.body == MockWorker.events("d2").joined())
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      #expect(!deployment.decoders[1].bodies[0].contains("kv_transfer_params"))
    }
  }

  @Test func `A decoder that cannot be reached leaves the prefill to another`() async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [nil, .hangsBeforeHead]) { deployment in
      let (prefiller, decoder) = (deployment.prefillers[0], deployment.decoders[1])
      for _ in 0..<2 {
        let client = try await deployment.client()
        client.send(Deployment.request(streamed))
      }
      await decoder.requests.wait(for: 2)
      #expect(decoder.bodies.allSatisfy { $0.contains(Self.ticket(of: prefiller)) })
      #expect(prefiller.clientsGone.entries.isEmpty)
    }
  }

  @Test func `Without any decoder the prefill is ended`() async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [nil]) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 503"))
      await deployment.prefillers[0].clientsGone.wait(for: 1)
    }
  }

  @Test func `A client that leaves takes both legs along`() async throws {
    try await Deployment.run(prefillers: [.publishesEarly], decoders: [.hangsBeforeHead]) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.decoders[0].requests.wait(for: 1)
      client.close()
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      await deployment.decoders[0].clientsGone.wait(for: 1)
    }
  }

  @Test func `Switched off, the ticket is not asked for`() async throws {
    try await Deployment.run(
      prefillers: [.publishes], decoders: [.answers], configure: { $0.followsPrefill = false }
    ) { deployment in
      _ = try await deployment.post(streamed)
      #expect(!deployment.prefillers[0].requests.entries[0].headers.contains(name: "x-xpyd-early-ticket"))
    }
    try await Deployment.run(prefillers: [.publishes], decoders: [.answers]) { deployment in
      _ = try await deployment.post(streamed)
      #expect(deployment.prefillers[0].requests.entries[0].headers.contains(name: "x-xpyd-early-ticket"))
    }
  }
}
