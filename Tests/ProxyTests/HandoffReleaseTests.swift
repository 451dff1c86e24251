import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#

/// A handoff that was published and that nobody will pull.
@Suite(.timeLimit(.minutes(5))) struct HandoffReleaseTests {
  private static func expectRelease(_ prefiller: MockWorker) async {
    await prefiller.requests.wait(for: 2)
    #expect(prefiller.requests.entries[1].path == "/kv/release")
    #expect(prefiller.bodies[1] == #"{"remote_request_id":"\#(prefiller.handoffID)"}"#)
  }

  @Test func `A client that leaves before the decoder has answered leaves no leg and no handoff`() async throws {
    try await Deployment.run(prefillers: [.publishes], decoders: [.hangsBeforeHead]) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await deployment.decoders[0].requests.wait(for: 1)
      client.close()
      await deployment.decoders[0].clientsGone.wait(for: 1)
      await Self.expectRelease(deployment.prefillers[0])
    }
  }

  @Test(arguments: [MockWorker.Script.streamsErrorFirst, .closesBeforeHead, .status(500)])
  func `A handoff that a decoder failed with is released`(fault: MockWorker.Script) async throws {
    try await Deployment.run(prefillers: [.publishes], decoders: [fault, .answers]) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.body.contains("[DONE]"))
      await Self.expectRelease(deployment.prefillers[0])
    }
  }

  @Test func `A handoff that no decoder takes is released`() async throws {
    try await Deployment.run(prefillers: [.publishes], decoders: [nil]) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 503"))
      await Self.expectRelease(deployment.prefillers[0])
    }
  }

  @Test(arguments: [MockWorker.Script.publishes, .answers])
  func `A handoff that was used, or is another engine's, is left alone`(prefiller: MockWorker.Script) async throws {
    let decoder: MockWorker.Script = if case .publishes = prefiller { .answers } else { .status(500) }
    try await Deployment.run(prefillers: [prefiller], decoders: [decoder]) { deployment in
      for _ in 0..<3 { _ = try await deployment.post(streamed) }
      #expect(deployment.prefillers[0].requests.entries.allSatisfy { $0.path == "/v1/completions" })
    }
  }

  @Test func `Transfers that fail are the prefiller's fault, and take it out`() async throws {
    try await Deployment.run(
      prefillers: [.publishes, .publishes], decoders: [.refusesHandoffs(of: "p1")]
    ) { deployment in
      for _ in 0..<8 {
        let answer = try await deployment.post(streamed)
        #expect(answer.body.contains("[DONE]"))
      }
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"worker_up{role="prefill",worker="prefiller1"} 0"#))
      #expect(metrics.contains(#"worker_up{role="prefill",worker="prefiller2"} 1"#))
      #expect(metrics.contains(#"worker_up{role="decode",worker="decoder1"} 1"#))
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct DrainTests {
  @Test func `A draining worker keeps its streams and gets no new legs`() async throws {
    try await Deployment.run(
      decoders: [.hangsAfterFirstEvent, .answers], configure: { $0.healthCheck.interval = .milliseconds(10) }
    ) { deployment in
      let decoder = deployment.decoders[0]
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      _ = await client.receive { $0.contains("data: 1") }
      decoder.drain()
      while try await !deployment.get("/stats").body.contains(#""fault":"draining""#) {}
      for _ in 0..<4 {
        let answer = try await deployment.post(streamed)
        #expect(answer.body == MockWorker.events("d2").joined())
      }
      #expect(decoder.bodies.count == 1 && decoder.clientsGone.entries.isEmpty && !client.isClosed)
    }
  }
}
