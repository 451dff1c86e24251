import Foundation
import HTTPTestSupport
import NIOCore
import Proxy
import Testing

private let plain = #"{"prompt":"x","max_tokens":5}"#
private let streamed = #"{"prompt":"x","max_tokens":5,"stream":true}"#

/// A file that is gone when `body` returns.
private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-\(UUID().uuidString)")
  try Data(text.utf8).write(to: url)
  defer { try? FileManager.default.removeItem(at: url) }
  try await body(url.path)
}

@Suite(.timeLimit(.minutes(5))) struct EdgeTests {
  @Test func `A proxy may be shut down again`() async throws {
    // `run` does so a second time.
    try await Deployment.run { await $0.proxy.shutdown(grace: .zero) }
  }

  @Test func `Keys of a file let in beside those of the command line, and change with the file`() async throws {
    try await withFile("# ours\none\n\n  two\n") { path in
      try await Deployment.run(configure: {
        $0.clientKeys = ["zero"]
        $0.clientKeyFile = path
        $0.fileInterval = .milliseconds(5)
      }) { deployment in
        func isAccepted(_ key: String) async throws -> Bool {
          try await deployment.post(plain, fields: "Authorization: Bearer \(key)\r\n").head.hasPrefix("HTTP/1.1 200")
        }
        for (key, expected) in [("zero", true), ("one", true), ("two", true), ("# ours", false), ("three", false)] {
          let accepted = try await isAccepted(key)
          #expect(accepted == expected, "\(key)")
        }
        // A file without keys would let everybody in: the keys before stay.
        try Data("\n".utf8).write(to: URL(fileURLWithPath: path))
        let isEverybodyIn = try await isAccepted("three")
        #expect(!isEverybodyIn)
        try Data("three\n".utf8).write(to: URL(fileURLWithPath: path))
        while try await !isAccepted("three") {}
        let (isOld, isFixed) = (try await isAccepted("one"), try await isAccepted("zero"))
        #expect(!isOld && isFixed)
      }
    }
  }

  @Test func `A browser's page is told whether it may call, and the worker is not asked`() async throws {
    try await Deployment.run(configure: { $0.cors.origins = ["https://a"] }) { deployment in
      let client = try await deployment.client()
      client.send(
        "OPTIONS /v1/completions HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\nAccess-Control-Request-Method: POST\r\n"
          + "Access-Control-Request-Headers: Authorization\r\nConnection: close\r\n\r\n")
      let preflight = await client.receiveAll()
      #expect(preflight.hasPrefix("HTTP/1.1 200") && preflight.contains("access-control-allow-origin: https://a\r\n"))
      #expect(deployment.decoders[0].requests.entries.isEmpty)
      let allowed = try await deployment.post(plain, fields: "Origin: https://a\r\n").head
      #expect(allowed.contains("access-control-allow-origin: https://a"))
      let other = try await deployment.post(plain, fields: "Origin: https://b\r\n").head
      #expect(other.hasPrefix("HTTP/1.1 200") && !other.contains("access-control"))
      #expect(deployment.decoders[0].requests.entries.allSatisfy { $0.headers["origin"].isEmpty })
    }
  }

  @Test(arguments: [
    "/score", "/v1/score", "/rerank", "/v2/rerank", "/pooling", "/classify", "/detokenize",
  ])
  func `What only a worker can do goes to a decoder as it came`(path: String) async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(#"{"input":"x"}"#, path: path)
      #expect(answer.head.hasPrefix("HTTP/1.1 200") && answer.body.contains(#""text":"d1""#))
      #expect(deployment.decoders[0].bodies == [#"{"input":"x"}"#] && deployment.prefillers[0].bodies.isEmpty)
      deployment.decoders[0].play(.status(404))
      let missing = try await deployment.post("{}", path: path)
      #expect(missing.head.hasPrefix("HTTP/1.1 404") && missing.body == #"{"error":"404"}"#)
    }
  }

  @Test func `Fields that Connection names stay on their hop, both ways`() async throws {
    try await Deployment.run { deployment in
      let client = try await deployment.client()
      client.send(
        "POST /v1/completions HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nX-Open: 2\r\n"
          + "Keep-Alive: 5\r\nContent-Length: \(plain.utf8.count)\r\n\r\n\(plain)")
      _ = await client.receiveAll()
      let headers = deployment.decoders[0].requests.entries[0].headers
      #expect(headers["x-open"] == ["2"] && headers["x-secret"].isEmpty && headers["keep-alive"].isEmpty)
    }
  }

  @Test func `The log level changes while the proxy runs, behind the key`() async throws {
    let level = AdjustableLogLevel(.error)
    try await Deployment.run(logLevel: level, configure: { $0.clientKeys = ["k"] }) { deployment in
      func put(_ body: String, key: String = "k") async throws -> String {
        let client = try await deployment.client()
        client.send(
          "PUT /log-level HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer \(key)\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return await client.receiveAll()
      }
      let stranger = try await put("debug", key: "x")
      #expect(stranger.hasPrefix("HTTP/1.1 401") && level.current == .error)
      let unknown = try await put("loud")
      #expect(unknown.hasPrefix("HTTP/1.1 400") && level.current == .error)
      let known = try await put("debug\n")
      #expect(known.hasSuffix(#"{"level":"debug"}"#) && level.current == .debug)
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct SightTests {
  @Test func `A plain answer tells its timeline in its head to who asks, and to nobody else`() async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(plain, fields: "X-Xpyd-Timing: 1\r\n")
      let line = try #require(answer.head.firstMatch(of: /x-xpyd-timing: ([^\r]*)/)).output.1
      let timing = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(timing["prefiller"] as? String == "prefiller1" && timing["decoder"] as? String == "decoder1")
      for name in ["queue", "prefill", "decode", "ttft", "total"] { #expect(timing[name] is NSNumber, "\(name)") }
      #expect(deployment.decoders[0].requests.entries[0].headers["x-xpyd-timing"].isEmpty)
      let other = try await deployment.post(plain)
      #expect(!other.head.contains("x-xpyd-timing"))
    }
  }

  @Test func `A stream tells its timeline in a comment behind its last event`() async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.post(streamed, fields: "X-Xpyd-Timing: 1\r\n").body
      let events = MockWorker.events("d1").joined()
      #expect(answer.hasPrefix(events + ": x-xpyd-timing {") && answer.hasSuffix("}\n\n"))
      let line = answer.dropFirst(events.count + ": x-xpyd-timing ".count)
      let timing = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(timing["transfer"] is NSNumber && timing["decoder"] as? String == "decoder1")
    }
  }

  @Test func `Each request that a client sent has a line in the access log, and the probes have none`() async throws {
    try await withFile("") { path in
      try await Deployment.run(configure: {
        $0.accessLog = AccessLogSettings()
        $0.accessLog?.format = .json
        $0.accessLog?.path = path
      }) { deployment in
        _ = try await deployment.post(streamed, fields: "X-Request-Id: a\"b\r\n")
        _ = try await deployment.get("/nothing")
        _ = try await deployment.get("/health")
      }
      let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
        try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
      }
      #expect(lines.map { $0["path"] as? String } == ["/v1/completions", "/nothing"])
      #expect(lines.map { $0["status"] as? Int } == [200, 404])
      #expect(lines.first?["request_id"] as? String == "a\"b" && lines.first?["whole"] as? Bool == true)
      #expect((lines.first?["timing"] as? [String: Any])?["decoder"] as? String == "decoder1")
    }
  }

  @Test func `A log that nobody reads holds nothing up, and what is lost is counted`() async throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    let filler = [UInt8](repeating: 0, count: 4096)
    while write(ends[1], filler, filler.count) > 0 {}
    try await Deployment.run(configure: {
      $0.accessLog = AccessLogSettings()
      $0.accessLog?.path = "/dev/fd/\(ends[1])"
    }) { deployment in
      let answer = try await deployment.post(plain)
      #expect(answer.head.hasPrefix("HTTP/1.1 200"))
      let lost = "xpyd:proxy_access_log_lines_dropped_total 1.0"
      while try await !deployment.get("/metrics").body.contains(lost) {}
    }
  }

  @Test func `A line of text is uvicorn's, with what the timeline tells behind`() {
    var timeline = RequestTimeline(received: .uptimeNanoseconds(0))
    timeline.prefiller = 0
    timeline.decoder = 1
    timeline.firstToken = .uptimeNanoseconds(1_234_567)
    let entry = AccessLogEntry(
      milliseconds: 0, client: "10.0.0.1:5000", method: "POST", path: "/v1/completions", requestID: "r1",
      response: .init(status: 200, bytes: 10, isWhole: true), duration: .nanoseconds(20_500_000), timeline: timeline)
    #expect(
      entry.line(.text) == """
        INFO:     10.0.0.1:5000 - "POST /v1/completions HTTP/1.1" 200 total=20.500ms ttft=1.234ms prefiller=1 \
        decoder=2 id=r1

        """)
  }

  @Test func `Metrics hold a stream's times by role and worker`() async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(streamed)
      let metrics = try await deployment.get("/metrics").body
      let workers = [("prefill", "prefiller1"), ("decode", "decoder1")]
      for name in ["vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"] {
        for (role, worker) in workers {
          #expect(metrics.contains(#"\#(name)_count{role="\#(role)",worker="\#(worker)"} 1.0"#), "\(name) \(role)")
        }
      }
      #expect(metrics.contains(#"xpyd:proxy_prefill_leg_seconds_count{role="prefill",worker="prefiller1"} 1.0"#))
      #expect(metrics.contains(#"xpyd:proxy_transfer_seconds_count{role="decode",worker="decoder1"} 1.0"#))
      #expect(metrics.contains(#"xpyd:proxy_decode_leg_seconds_count{role="decode",worker="decoder1"} 1.0"#))
      #expect(metrics.contains("vllm:request_queue_time_seconds_count 1.0"))
      _ = try await deployment.post("{}", path: "/tokenize")
      let after = try await deployment.get("/metrics").body
      #expect(after.contains(#"vllm:e2e_request_latency_seconds_count{role="decode",worker="decoder1"} 1.0"#))
    }
  }

  @Test func `Legs that were run again are counted by role`() async throws {
    // Of a worker that refuses, the first health check may tell before the request does.
    try await Deployment.run(prefillers: [.closesBeforeHead, .answers], decoders: [.closesBeforeHead, .answers]) {
      deployment in
      let answer = try await deployment.post(streamed, fields: "X-Xpyd-Timing: 1\r\n")
      #expect(answer.body.contains(#""prefill_retries":1"#) && answer.body.contains(#""decoder_replacements":1"#))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"xpyd:proxy_retries_total{role="prefill"} 1.0"#))
      #expect(metrics.contains(#"xpyd:proxy_retries_total{role="decode"} 1.0"#))
    }
  }
}
