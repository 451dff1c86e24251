import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOPosix
import Proxy
import Synchronization
import Testing

@Suite struct HandoffEvidenceTests {
  @Test(
    arguments: [
      (.serverInfo, #"{"model_path":"m","disaggregation_mode":"prefill","tp_size":1}"#, .sglang),
      (.getServerInfo, #"{"disaggregation_mode":"decode"}"#, .sglang),
      (.getServerInfo, #"{"disaggregation_mode":"null"}"#, HandoffKind.none),
      (.serverInfo, #"{"disaggregation_mode":"both"}"#, nil), (.serverInfo, #"{"disaggregation_mode":7}"#, nil),
      (.serverInfo, #"{"vllm_config":"…"}"#, nil), (.serverInfo, "[]", nil), (.serverInfo, "", nil),
      (.metrics, "# HELP x y\nxpyd:kv_blocks 3\n", .nixl),
      (.metrics, "# HELP x y\n# TYPE xpyd:kv_pushes_total counter\nxpyd:kv_blocks 3\n", .lmcache),
      (.metrics, "# HELP x y\n# TYPE xpyd:kv_received_total counter\nxpyd:kv_received_total 0\n", .lmcache),
      (.metrics, "# TYPE a b\nvllm:nixl_xfer_time_seconds_sum{engine=\"0\"} 0.0\n", .nixl),
      (.metrics, "# HELP vllm:num_requests_running says xpyd: and vllm:nixl_\nvllm:num_requests_running 0\n", nil),
      (.metrics, "\u{0}", nil),
    ] as [(HandoffEvidence, String, HandoffKind?)])
  func `A page tells one handoff or none`(page: HandoffEvidence, text: String, kind: HandoffKind?) {
    switch page.judge(ByteBuffer(string: text)) {
    case .speaks(let found, let evidence): #expect(found == kind && evidence.hasPrefix(page.path))
    case .silent, nil: #expect(kind == nil)
    }
  }

  private static let nixl = HandoffFinding.speaks(.nixl, evidence: "n")
  private static let sglang = HandoffFinding.speaks(.sglang, evidence: "s")

  @Test(
    arguments: [
      ([(.silent, .prefill), (.silent, .decode)], [nil, .unknown]),
      ([(nixl, .prefill), (nixl, .prefill), (nixl, .decode)], [nil, nil, .found(.nixl, evidence: "n")]),
      ([(sglang, .decode), (.silent, .prefill)], [nil, .found(.sglang, evidence: "s")]),
      ([(.silent, .decode), (sglang, .decode), (sglang, .prefill)], [nil, nil, .found(.sglang, evidence: "s")]),
      ([(nixl, .decode), (sglang, .prefill)], [nil, .contradiction(prefiller: .sglang, decoder: .nixl)]),
    ] as [([(HandoffFinding, WorkerRole)], [HandoffDetection.Verdict?])])
  func `Both roles are heard, and must not contradict each other`(
    heard: [(HandoffFinding, WorkerRole)], verdicts: [HandoffDetection.Verdict?]
  ) {
    var detection = HandoffDetection()
    #expect(heard.map { detection.heard($0.0, from: $0.1) } == verdicts)
  }
}

/// Answers every path that it has a page for, and 404 to the rest, but 503 to its first requests.
private final class Pages: HTTPResponder {
  private let pages: [String: String]
  private let refusals: Mutex<Int>

  init(_ pages: [String: String], refusals: Int) {
    self.pages = pages
    self.refusals = Mutex(refusals)
  }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    let isReady = refusals.withLock { refusals in
      refusals -= 1
      return refusals < 0
    }
    guard isReady else { return writer.send(.serviceUnavailable) }
    guard let page = pages[request.path] else { return writer.send(.notFound) }
    writer.send(.ok, body: ByteBuffer(string: page))
  }
}

@Suite(.timeLimit(.minutes(5))) struct HandoffDetectorTests {
  @Test(
    arguments: [
      (
        ["/get_server_info": #"{"disaggregation_mode":"prefill"}"#],
        ["/server_info": #"{"disaggregation_mode":"decode"}"#], "sglang"
      ),
      (
        ["/get_server_info": #"{"disaggregation_mode":"null"}"#],
        ["/get_server_info": #"{"disaggregation_mode":"null"}"#], "none"
      ),
    ] as [([String: String], [String: String], String)])
  func `Auto uses what the workers tell as soon as they are ready`(
    prefiller: [String: String], decoder: [String: String], handoff: String
  ) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let servers = [
      try await HTTPServer.start(
        host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger,
        responder: Pages(prefiller, refusals: 3)),
      try await HTTPServer.start(
        host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger,
        responder: Pages(decoder, refusals: 0)),
    ]
    let addresses = servers.map { WorkerAddress(host: "127.0.0.1", port: $0.port) }
    try await Deployment.run(configure: {
      $0.prefillers = [addresses[0]]
      $0.decoders = [addresses[1]]
      $0.handoff = .auto
      $0.healthCheck.interval = .milliseconds(10)
    }) { deployment in
      while true {
        let stats = try await deployment.get("/stats").body
        if stats.contains(#""handoff":"\#(handoff)""#) { break }
      }
    }
    for server in servers { await server.shutdown(grace: .zero) }
  }

  @Test func `Auto without anybody who prefills for others takes one leg`() async throws {
    try await Deployment.run(prefillers: [], configure: { $0.handoff = .auto }) { deployment in
      _ = try await deployment.post(#"{"prompt":"x"}"#)
      #expect(deployment.decoders[0].bodies == [#"{"prompt":"x"}"#])
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"proxy_fallbacks_total{reason="no_prefiller"} 0"#))
    }
  }
}
