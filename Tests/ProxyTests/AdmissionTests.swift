import HTTPTestSupport
import Proxy
import Testing

private let body = #"{"prompt":"x","max_tokens":5}"#

/// A proxy with room for one request, which a first client holds.
private func withBusyProxy(
  _ change: @escaping (inout AdmissionLimits) -> Void,
  _ test: (Deployment, _ holder: RawClient) async throws -> Void
) async throws {
  try await Deployment.run(
    decoders: [.hangsBeforeHead],
    configure: {
      $0.handoff = .none
      $0.admission.concurrent = 1
      change(&$0.admission)
    }
  ) { deployment in
    let holder = try await deployment.client()
    holder.send(Deployment.request(#"{"prompt":"x","user":"a"}"#))
    await deployment.decoders[0].requests.wait(for: 1)
    try await test(deployment, holder)
  }
}

private func queued(_ deployment: Deployment) async throws -> Int {
  let stats = try await deployment.get("/stats").body
  let match = try #require(stats.firstMatch(of: /"queued":(\d+)/))
  return try #require(Int(match.output.1))
}

@Suite(.timeLimit(.minutes(5))) struct AdmissionTests {
  @Test func `A request that finds no room waits, and runs when there is some`() async throws {
    try await withBusyProxy({ _ in }) { deployment, holder in
      let waiting = try await deployment.client()
      waiting.send(Deployment.request(body))
      while try await queued(deployment) == 0 {}
      #expect(deployment.decoders[0].bodies.count == 1)
      deployment.decoders[0].play(.answers)
      holder.close()
      let answer = await waiting.receiveAll()
      #expect(answer.hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `A prefill that has ended makes room for the next while its own request still decodes`() async throws {
    try await Deployment.run(
      prefillers: [.hangsBeforeHead], decoders: [.hangsBeforeHead], configure: { $0.admission.prefilling = 1 }
    ) { deployment in
      let first = try await deployment.client()
      first.send(Deployment.request(body))
      await deployment.prefillers[0].requests.wait(for: 1)
      let second = try await deployment.client()
      second.send(Deployment.request(body))
      while try await queued(deployment) == 0 {}
      // What needs no prefiller does not wait behind what does.
      let other = try await deployment.client()
      other.send(Deployment.request(#"{"prompt":"x"}"#, path: "/tokenize"))
      await deployment.decoders[0].requests.wait(for: 1)
      #expect(deployment.prefillers[0].bodies.count == 1)
      await deployment.prefillers[0].endHanging(200)
      await deployment.decoders[0].requests.wait(for: 2)
      await deployment.prefillers[0].requests.wait(for: 2)
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""running":3,"prefilling":1,"queued":0,"#), "\(stats)")
    }
  }

  @Test func `A full queue answers 503 and says when to come again`() async throws {
    try await withBusyProxy({ $0.queued = 0 }) { deployment, _ in
      let answer = try await deployment.post(body)
      #expect(answer.head.hasPrefix("HTTP/1.1 503") && answer.head.lowercased().contains("retry-after: "))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"xpyd:proxy_rejections_total{reason="queue_full"} 1"#))
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""rejected":{"queue_full":1,"#) && stats.contains(#""concurrent_requests":1"#))
      let load = try await deployment.get("/load").body
      #expect(load == #"{"server_load":1}"#)
    }
  }

  @Test func `A client over its quota gets 429, another waits`() async throws {
    try await withBusyProxy({
      $0.perClient = 1
      $0.queueTime = .milliseconds(1)
    }) { deployment, _ in
      let same = try await deployment.post(#"{"prompt":"y","user":"a"}"#)
      #expect(same.head.hasPrefix("HTTP/1.1 429") && same.head.lowercased().contains("retry-after: "))
      let other = try await deployment.post(#"{"prompt":"y","user":"b"}"#)
      #expect(other.head.hasPrefix("HTTP/1.1 503"))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"rejections_total{reason="queue_time"} 1"#))
    }
  }

  @Test func `A client that leaves the queue is forgotten`() async throws {
    try await withBusyProxy({ _ in }) { deployment, holder in
      let waiting = try await deployment.client()
      waiting.send(Deployment.request(body))
      while try await queued(deployment) == 0 {}
      waiting.close()
      while try await queued(deployment) == 1 {}
      deployment.decoders[0].play(.answers)
      holder.close()
      let answer = try await deployment.post(body)
      #expect(answer.head.hasPrefix("HTTP/1.1 200") && deployment.decoders[0].bodies.count == 2)
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"requests_total{endpoint="completions",outcome="client_gone"} 2"#))
    }
  }

  @Test(arguments: ["X-Request-Priority: 1\r\n", ""])
  func `The header's priority goes before the body's`(header: String) async throws {
    try await withBusyProxy({ $0.queued = 1 }) { deployment, _ in
      let first = try await deployment.client()
      first.send(Deployment.request(#"{"prompt":"x","priority":5}"#))
      while try await queued(deployment) == 0 {}
      let second = try await deployment.client()
      second.send(Deployment.request(#"{"prompt":"y","priority":9}"#, fields: header))
      let refused = await (header.isEmpty ? second : first).receiveAll()
      #expect(refused.hasPrefix("HTTP/1.1 503"))
      let other = header.isEmpty ? first : second
      let count = try await queued(deployment)
      #expect(count == 1 && other.text.isEmpty)
    }
  }

  @Test func `A request that would see its first token too late is refused at once, by its own limit first`()
    async throws
  {
    let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#
    try await Deployment.run(configure: { $0.admission.timeToFirstToken = .nanoseconds(1) }) { deployment in
      // The first brings the time that the guess is made of; one that comes long after it is let through for news.
      var head = ""
      repeat { head = try await deployment.post(streamed).head } while head.hasPrefix("HTTP/1.1 200")
      #expect(head.hasPrefix("HTTP/1.1 503"))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"rejections_total{reason="ttft_slo"} 1"#))
      let patient = try await deployment.post(streamed, fields: "X-Request-TTFT-SLO-Ms: 86400000\r\n")
      #expect(patient.head.hasPrefix("HTTP/1.1 200"))
    }
  }
}
