import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOPosix
import Proxy
import ServingAPI
import Synchronization
import TestSupport
import Testing

private let streamed = #"{"model":"m1","prompt":"x","max_tokens":8,"temperature":0,"stream":true}"#
private let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/// Takes spans, as a collector of OpenTelemetry's.
private final class FakeCollector: HTTPResponder {
  let requests = Log<HTTPRequest>()
  private let status: Int

  init(status: Int = 200) { self.status = status }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    writer.send(.init(statusCode: status), body: ByteBuffer(string: "{}"))
    requests.add(request)
  }

  /// All spans so far, in the order in which they came.
  var spans: [BodyValue] {
    requests.entries.flatMap { request -> [BodyValue] in
      let body = (try? BodyParser.parse(Array(request.body.readableBytesView))) ?? .null
      return body["resourceSpans"]?.arrayValue?.first?["scopeSpans"]?.arrayValue?.first?["spans"]?.arrayValue ?? []
    }
  }

  /// Runs a deployment that sends its spans here.
  func run(
    decoders: [MockWorker.Script?] = [.answers], configure: (inout TracingSettings) -> Void = { _ in },
    _ body: (Deployment) async throws -> Void
  ) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger, responder: self)
    let url = OutboundURL("http://127.0.0.1:\(server.port)/v1/traces")
    var settings = TracingSettings(endpoint: url!)
    settings.interval = .milliseconds(5)
    configure(&settings)
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await Deployment.run(decoders: decoders, configure: { $0.tracing = settings }, body))
    } catch {
      outcome = .failure(error)
    }
    await server.shutdown(grace: .zero)
    try outcome.get()
  }
}

extension BodyValue {
  fileprivate func text(_ key: String) -> String? { self[key]?.stringValue }

  fileprivate func attribute(_ key: String) -> BodyValue? {
    self["attributes"]?.arrayValue?.first { $0["key"]?.stringValue == key }?["value"]
  }
}

@Suite(.timeLimit(.minutes(5))) struct TracingTests {
  @Test func `A request is one trace from the client's span through prefill, transfer and decode`() async throws {
    let collector = FakeCollector()
    try await collector.run { deployment in
      _ = try await deployment.post(
        streamed, fields: "traceparent: \(sampled)\r\ntracestate: a=b\r\nX-Request-Id: r1\r\n")
      let (prefill, decode) = (
        try #require(deployment.prefillers[0].requests.entries.first).headers,
        try #require(deployment.decoders[0].requests.entries.first).headers
      )
      #expect(prefill["traceparent"].count == 1 && decode["traceparent"].count == 1)
      #expect(prefill["tracestate"] == ["a=b"])
      while collector.spans.count < 5 { await collector.requests.wait(for: collector.requests.entries.count + 1) }
      let spans = collector.spans
      #expect(Set(spans.compactMap { $0.text("traceId") }) == ["0af7651916cd43dd8448eb211c80319c"])
      func span(_ name: String) throws -> BodyValue { try #require(spans.first { $0.text("name") == name }) }
      let root = try span("text_completion m1")
      #expect(root.text("parentSpanId") == "b7ad6b7169203331" && root["kind"] == 2 && root["status"] == nil)
      #expect(root.attribute("gen_ai.request.model") == ["stringValue": "m1"])
      #expect(root.attribute("gen_ai.request.id") == ["stringValue": "r1"])
      for (name, headers) in [("prefill", prefill), ("decode", decode)] {
        let leg = try span(name)
        #expect(leg.text("parentSpanId") == root.text("spanId") && leg["kind"] == 3)
        let sent = try #require(leg.text("spanId"))
        #expect(headers["traceparent"] == ["00-0af7651916cd43dd8448eb211c80319c-\(sent)-01"])
      }
      #expect(try span("transfer").text("parentSpanId") == span("decode").text("spanId"))
      #expect(try span("queue").text("parentSpanId") == root.text("spanId"))
      for part in spans {
        let times = ["startTimeUnixNano", "endTimeUnixNano"].map { UInt64(part.text($0) ?? "") ?? 0 }
        let whole = ["startTimeUnixNano", "endTimeUnixNano"].map { UInt64(root.text($0) ?? "") ?? 0 }
        #expect(whole[0] <= times[0] && times[0] <= times[1] && times[1] <= whole[1])
      }
    }
  }

  @Test func `A leg that was run again has a span for each try`() async throws {
    let collector = FakeCollector()
    try await collector.run(decoders: [.generates(.closes(afterTokens: 2)), .generates(.whole)]) { deployment in
      _ = try await deployment.post(streamed)
      while !collector.spans.contains(where: { $0["parentSpanId"] == nil }) {
        await collector.requests.wait(for: collector.requests.entries.count + 1)
      }
      let decodes = collector.spans.filter { $0.text("name") == "decode" }
      #expect(decodes.count == 2 && Set(decodes.compactMap { $0.text("spanId") }).count == 2)
      #expect(decodes[0].attribute("error.type") == ["stringValue": "closed"] && decodes[1]["status"] == nil)
    }
  }

  @Test func `What the client does not record is not recorded here, and goes on as it came`() async throws {
    let collector = FakeCollector()
    let unsampled = sampled.dropLast(2) + "00"
    try await collector.run { deployment in
      _ = try await deployment.post(streamed, fields: "traceparent: \(unsampled)\r\n")
      #expect(deployment.decoders[0].requests.entries[0].headers["traceparent"] == [String(unsampled)])
    }
    #expect(collector.spans.isEmpty)
  }

  @Test func `Without a collector a trace goes through untouched`() async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(streamed, fields: "traceparent: \(sampled)\r\n")
      #expect(deployment.decoders[0].requests.entries[0].headers["traceparent"] == [sampled])
    }
  }

  @Test func `Spans that a collector refuses are dropped and counted`() async throws {
    let collector = FakeCollector(status: 503)
    try await collector.run { deployment in
      _ = try await deployment.post(streamed)
      let lost = #"xpyd:proxy_spans_dropped_total{reason="export_failed"} 5.0"#
      while try await !deployment.get("/metrics").body.contains(lost) {}
    }
  }

  @Test func `Beyond the queue's limit spans are dropped and counted, and what waits at the end is sent`() async throws
  {
    let collector = FakeCollector()
    try await collector.run(configure: {
      $0.interval = .seconds(3600)
      $0.mostWaiting = 7
    }) { deployment in
      for _ in 0..<2 { _ = try await deployment.post(streamed) }
      let lost = #"xpyd:proxy_spans_dropped_total{reason="queue_full"} 3.0"#
      while try await !deployment.get("/metrics").body.contains(lost) {}
    }
    #expect(collector.spans.count == 7)
  }
}

@Suite struct TraceContextTests {
  @Test func `A well-formed traceparent is read, and written with another span`() throws {
    let context = try #require(TraceContext(traceparent: sampled))
    #expect(context.isSampled && context.parent?.text == "b7ad6b7169203331")
    let span = TraceContext.SpanID(number: 1)
    #expect(context.traceparent(from: span) == "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01")
    #expect(TraceContext(traceparent: sampled.dropLast(2) + "00")?.isSampled == false)
    #expect(TraceContext(traceparent: "cc" + sampled.dropFirst(2) + "-what-comes")?.trace == context.trace)
  }

  @Test(arguments: [
    "", "00", sampled.uppercased(), "ff" + sampled.dropFirst(2), sampled + "-more", String(sampled.dropLast()),
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033310-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
  ])
  func `What is not well formed begins a new trace`(text: String) { #expect(TraceContext(traceparent: text) == nil) }

  @Test func `A trace that begins here has an id of 32 digits, and no parent`() {
    var dice = SplitMix64(seed: 7)
    for _ in 0..<100 {
      let context = TraceContext(using: &dice)
      #expect(context.trace.text.count == 32 && context.parent == nil && context.isSampled)
      #expect(TraceContext(traceparent: context.traceparent(from: .init(using: &dice)))?.trace == context.trace)
    }
  }
}
