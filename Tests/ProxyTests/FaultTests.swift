import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let plain = #"{"prompt":"x","max_tokens":5}"#
private let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#

private func short(_ configuration: inout ProxyConfiguration) {
  configuration.deadlines.prefill = .seconds(2)
  configuration.deadlines.firstToken = .seconds(2)
  configuration.deadlines.idle = .seconds(2)
}

@Suite(.timeLimit(.minutes(5))) struct FaultTests {
  static let prefillFaults: [MockWorker.Script?] = [
    nil, .hangsBeforeHead, .closesBeforeHead, .status(500), .status(503), .status(429), .breaksOffInBody,
  ]

  @Test(arguments: prefillFaults)
  func `A prefiller's fault sends the prefill to the next one`(fault: MockWorker.Script?) async throws {
    try await Deployment.run(prefillers: [fault, .answers], configure: short) { deployment in
      for _ in 0..<4 {
        let got = try await deployment.post(plain)
        #expect(got.body.contains("d1"))
      }
      #expect(deployment.prefillers[1].bodies.count == 4)
      #expect(deployment.decoders[0].bodies.allSatisfy { $0.contains(MockWorker.handoff) })
    }
  }

  @Test(arguments: prefillFaults)
  func `Without a prefiller the decoder prefills`(fault: MockWorker.Script?) async throws {
    try await Deployment.run(prefillers: [fault], configure: short) { deployment in
      for body in [plain, streamed] {
        let got1 = try await deployment.post(body)
        #expect(got1.body.contains("d1"))
        #expect(deployment.decoders[0].bodies.last == Deployment.followed(body))
      }
    }
  }

  @Test(arguments: [MockWorker.Script.answersWithoutHandoff, .answersNoJSON])
  func `An answer without a handoff lets the decoder prefill`(fault: MockWorker.Script) async throws {
    try await Deployment.run(prefillers: [fault]) { deployment in
      let got2 = try await deployment.post(plain)
      #expect(got2.body.contains("d1"))
      #expect(deployment.decoders[0].bodies == [plain])
      let got3 = try await deployment.get("/metrics")
      #expect(got3.body.contains(#"proxy_fallbacks_total{reason="no_handoff"} 1"#))
    }
  }

  @Test(arguments: [400, 404, 413, 422])
  func `A refusal by the prefiller is the client's answer`(status: Int) async throws {
    try await Deployment.run(prefillers: [.status(status), .answers]) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 \(status) ") && answer.body == #"{"error":"\#(status)"}"#)
      #expect(deployment.prefillers[1].bodies.isEmpty && deployment.decoders[0].bodies.isEmpty)
    }
  }

  @Test(arguments: [nil, .closesBeforeHead, .status(500), .status(503), .breaksOffInBody] as [MockWorker.Script?])
  func `A decoder's fault before its answer sends the request to the next one`(fault: MockWorker.Script?) async throws {
    try await Deployment.run(decoders: [fault, .answers]) { deployment in
      for _ in 0..<4 {
        let got = try await deployment.post(plain)
        #expect(got.body.contains(#""text":"d2""#))
      }
    }
  }

  @Test(
    arguments: [nil, .hangsBeforeHead, .closesBeforeHead, .status(500), .streamsErrorFirst] as [MockWorker.Script?])
  func `A decoder's fault before the first event sends the stream to the next one`(fault: MockWorker.Script?)
    async throws
  {
    try await Deployment.run(decoders: [fault, .answers], configure: short) { deployment in
      for _ in 0..<4 {
        let got = try await deployment.post(streamed)
        #expect(got.body == MockWorker.events("d2").joined())
      }
    }
  }

  @Test func `A handoff that fails is not the decoder's fault: it gets the plain request`() async throws {
    try await Deployment.run(decoders: [.streamsErrorFirst]) { deployment in
      let decoder = deployment.decoders[0]
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      await decoder.requests.wait(for: 2)
      #expect(decoder.bodies[0].contains("kv_transfer_params") && decoder.bodies[1] == Deployment.followed(streamed))
      _ = await client.receiveAll()
      #expect(decoder.bodies.count == 2)
    }
  }

  @Test func `A decoder that refuses the connection leaves the handoff to the next one`() async throws {
    try await Deployment.run(decoders: [nil, .answers]) { deployment in
      for _ in 0..<2 { _ = try await deployment.post(plain) }
      #expect(deployment.decoders[1].bodies.count == 2)
      #expect(deployment.decoders[1].bodies.allSatisfy { $0.contains(MockWorker.handoff) })
    }
  }

  @Test func `A decoder that stalls on a handoff is booked and left alone`() async throws {
    try await Deployment.run(decoders: [.hangsBeforeHead, .answers], configure: short) { deployment in
      _ = try await deployment.post(streamed)
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"leg_failures_total{role="decode",error_type="deadline_first_token"} 1"#))
      #expect(metrics.contains(#"worker_up{role="decode",worker="decoder1"} 0"#))
      #expect(metrics.contains(#"proxy_fallbacks_total{reason="handoff_failed"} 1"#))
    }
  }

  @Test func `A large answer that breaks off is asked for again elsewhere`() async throws {
    try await Deployment.run(decoders: [.breaksOffInLargeBody, .answersAtLength]) { deployment in
      let answer = try await deployment.post(plain)
      #expect(answer.body == MockWorker.longAnswer)
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"requests_total{endpoint="completions",outcome="ok"} 1"#))
    }
  }

  @Test func `Room for large answers is given back, whatever became of them`() async throws {
    // For one answer at a time.
    try await Deployment.run(
      decoders: [.breaksOffInLargeBody, .answersAtLength], configure: { $0.heldAnswerBytes = 1_100_000 }
    ) { deployment in
      for _ in 0..<4 {
        let answer = try await deployment.post(plain)
        #expect(answer.body == MockWorker.longAnswer)
      }
    }
  }

  @Test func `An answer that breaks off in its body counts once, and not as the client's leaving`() async throws {
    try await Deployment.run(
      decoders: [.breaksOffInLargeBody], configure: { $0.heldAnswerBytes = 0 }
    ) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(plain))
      let answer = await client.receiveAll()
      #expect(answer.hasPrefix("HTTP/1.1 200 OK") && client.isClosed)
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"requests_total{endpoint="completions",outcome="broken"} 1"#))
      #expect(metrics.contains(#"requests_total{endpoint="completions",outcome="client_gone"} 0"#))
    }
  }

  @Test(
    arguments: [
      (nil, "No decoder can be reached: ADDRESS refused the connection. Start it, or see its log."),
      (.closesBeforeHead, "No decoder gave an answer: ADDRESS closed the connection before its answer was complete."),
      (.status(500), "No decoder gave an answer: ADDRESS answered with status 500. See its log."),
      (.hangsBeforeHead, "No decoder answered in time: ADDRESS sent no first token in time."),
    ] as [(MockWorker.Script?, String)])
  func `An error names the role, the worker and what it did`(fault: MockWorker.Script?, text: String) async throws {
    try await Deployment.run(decoders: [fault], configure: short) { deployment in
      let answer = try await deployment.post(streamed)
      let message = text.replacing("ADDRESS", with: "\(deployment.decoderAddresses[0])")
      #expect(answer.body.contains(message), "\(answer.body)")
    }
  }

  @Test(
    arguments: [
      (nil, 503), (.closesBeforeHead, 502), (.status(500), 502), (.status(503), 503), (.status(429), 429),
      (.streamsErrorFirst, 502), (.hangsBeforeHead, 504),
    ] as [(MockWorker.Script?, Int)])
  func `Without any decoder the client gets a clear error`(fault: MockWorker.Script?, status: Int) async throws {
    try await Deployment.run(decoders: [fault, fault], configure: short) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 \(status) "))
      #expect(answer.body.hasPrefix(#"{"error":{"message":""#) && answer.body.contains(#""code":\#(status)"#))
    }
  }

  @Test(arguments: [MockWorker.Script.breaksOffAfterFirstEvent, .hangsAfterFirstEvent])
  func `A stream that breaks ends with an error event, after whole events only`(fault: MockWorker.Script) async throws {
    try await Deployment.run(decoders: [fault], configure: short) { deployment in
      let answer = try await deployment.post(streamed)
      #expect(answer.head.hasPrefix("HTTP/1.1 200 OK"))
      #expect(answer.body.hasPrefix("data: 1\n\ndata: {\"error\":{\"message\":"))
      #expect(answer.body.hasSuffix("}}\n\n") && !answer.body.contains("[DONE]"))
    }
  }

  @Test func `A client that leaves takes the prefill along`() async throws {
    try await Deployment.run(prefillers: [.hangsBeforeHead]) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(plain))
      await deployment.prefillers[0].requests.wait(for: 1)
      client.close()
      await deployment.prefillers[0].clientsGone.wait(for: 1)
      #expect(deployment.decoders[0].bodies.isEmpty)
    }
  }

  @Test func `A client that leaves takes the decode along`() async throws {
    try await Deployment.run(decoders: [.hangsAfterFirstEvent]) { deployment in
      let client = try await deployment.client()
      client.send(Deployment.request(streamed))
      _ = await client.receive { $0.contains("data: 1") }
      client.close()
      await deployment.decoders[0].clientsGone.wait(for: 1)
    }
  }

  @Test func `A client that reads slowly slows the decoder down`() async throws {
    let chunks = 640
    try await Deployment.run(decoders: [.floods(chunks: chunks)]) { deployment in
      let client = try await RawClient.connect(deployment.proxy.port, receiveBuffer: 256 * 1024)
      client.send(Deployment.request(streamed))
      let decoder = deployment.decoders[0]
      await decoder.flooded.wait(for: 1)
      // Another request's whole way is the clock: afterwards the flood has had its chance.
      for _ in 0..<50 { _ = try await deployment.get("/health") }
      #expect(decoder.flooded.entries.count < chunks / 2)
      client.startReading()
      let answer = await client.receiveAll()
      #expect(decoder.flooded.entries.count == chunks)
      #expect(answer.utf8.count > chunks * 65_536)
    }
  }

  @Test func `A worker is back as soon as it answers`() async throws {
    try await Deployment.run(prefillers: [.status(500), .answers]) { deployment in
      for _ in 0..<2 { _ = try await deployment.post(plain) }
      deployment.prefillers[0].play(.answers)
      let before = deployment.prefillers[0].bodies.count
      while deployment.prefillers[0].bodies.count == before { _ = try await deployment.post(plain) }
      #expect(deployment.decoders[0].bodies.allSatisfy { $0.contains("kv_transfer_params") })
    }
  }

  @Test func `Ready means that a worker of each role has answered`() async throws {
    try await Deployment.run(prefillers: [nil]) { deployment in
      let got6 = try await deployment.get("/ready")
      #expect(got6.head.hasPrefix("HTTP/1.1 503"))
      let got7 = try await deployment.get("/ready")
      #expect(got7.body.contains("No prefiller"))
      let got8 = try await deployment.get("/health")
      #expect(got8.head.hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `Health checks take out a worker that hangs, and bring it back when it answers`() async throws {
    try await Deployment.run(
      decoders: [.answers, .answers],
      configure: {
        $0.healthCheck.interval = .milliseconds(10)
        $0.healthCheck.timeout = .milliseconds(300)
        $0.healthCheck.failures = 2
      }
    ) { deployment in
      let decoder = deployment.decoders[0]
      decoder.play(.hangsForGood)
      // Deadlines are minutes away: only the checks can free the request that hangs.
      while decoder.bodies.isEmpty {
        let answer = try await deployment.post(plain)
        #expect(answer.body.contains(#""text":"d2""#))
      }
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""fault":"unhealthy""#))
      decoder.play(.answers)
      while decoder.bodies.count == 1 { _ = try await deployment.post(plain) }
      let answer = try await deployment.get("/metrics").body
      #expect(answer.contains(#"worker_up{role="decode",worker="decoder1"} 1"#))
    }
  }

  @Test func `A kept connection that its worker closes costs no attempt`() async throws {
    let raw = RawWorker(closes: .onNextRequest)
    let port = try await raw.start()
    raw.answer(with: Array("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"text\":\"raw\"}".utf8))
    try await Deployment.run(configure: {
      $0.decoders = [WorkerAddress(host: "127.0.0.1", port: port)]
      $0.deadlines.keepAlive = .seconds(60)
      $0.attemptsPerLeg = 1
      $0.handoff = .none
    }) { deployment in
      for _ in 0..<5 {
        let answer = try await deployment.post(plain)
        #expect(answer.body == #"{"text":"raw"}"#)
      }
      #expect(raw.requestsUnanswered.entries.count >= 4)
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""decode":{}"#))
    }
    await raw.stop()
  }

  @Test func `300 mutated answers neither crash nor hang the proxy`() async throws {
    let raw = RawWorker()
    let port = try await raw.start()
    var random = TestDice(seed: 5)
    let seeds = [
      "HTTP/1.1 200 OK\r\ncontent-length: 14\r\ncontent-type: text/plain\r\n\r\n{\"text\":\"raw\"}",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
        + "content-type: text/event-stream\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
    ]
    try await Deployment.run(configure: {
      $0.decoders = [WorkerAddress(host: "127.0.0.1", port: port)]
      $0.deadlines.firstToken = .milliseconds(20)
      $0.deadlines.request = .milliseconds(40)
      $0.attemptsPerLeg = 1
      $0.handoff = .none
    }) { deployment in
      for round in 0..<300 {
        var bytes = Array(seeds[round % 2].utf8)
        for _ in 0...Int.random(in: 0...2, using: &random) {
          let place = Int.random(in: 0..<bytes.count, using: &random)
          if Bool.random(using: &random) {
            bytes[place] = UInt8.random(in: 0...255, using: &random)
          } else {
            bytes.remove(at: place)
          }
        }
        raw.answer(with: bytes)
        let answer = try await deployment.post(streamed)
        #expect(answer.head.hasPrefix("HTTP/1.1 "), "\(String(decoding: bytes, as: UTF8.self))")
      }
    }
    await raw.stop()
  }
}
