import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Proxy
import ServingAPI
import Synchronization
import Testing

/// A prefiller of LMCache's push kind in front of which the proxy stands: its engine ends with a request that has no
/// `disagg_spec`.
private final class PushPrefiller: HTTPResponder {
  let requests = Log<BodyValue>()
  let deaths = Log<Void>()
  let noticePort = Mutex(0)
  private let notices: Int

  /// - Parameter notices: That it sends for each transfer.
  init(notices: Int) { self.notices = notices }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    if request.path == "/health" { return writer.send(.ok) }
    guard let body = try? BodyParser.parse(Array(request.body.readableBytesView)),
      let id = body["kv_transfer_params"]?["disagg_spec"]?["req_id"]?.stringValue
    else {
      deaths.add(())
      return writer.abort()
    }
    requests.add(body)
    let start =
      #"{"id":"\#(request.path.contains("chat") ? "chatcmpl-d1" : "cmpl-d1")","created":1,"model":"m","choices":[{"#
    let end = #""finish_reason":"length","token_ids":[3]"#
    let answer =
      request.path.contains("chat")
      ? start + #""message":{"role":"assistant","content":" 3"},\#(end)}],"prompt_token_ids":[0,1,2]"#
      : start + #""text":" 3",\#(end),"prompt_token_ids":[0,1,2]}]"#
    Task {
      if notices > 0 {
        let push = try await RawClient.connect(noticePort.withLock { $0 })
        push.send(PushSocket.greeting + PushSocket.ready)
        for _ in 0..<notices { push.send(PushSocket.message(PushSocket.notice(id))) }
      }
      writer.send(.ok, body: ByteBuffer(string: answer + #","kv_transfer_params":{"first_tok":3}}"#))
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct LMCacheDisaggTests {
  private static let usage = #","stream_options":{"include_usage":true}"#

  private static func run(
    notices: Int = 1, decoder: MockWorker.Script = .generates(.whole, as: .vllm), ranks: Int = 1,
    _ body: (Deployment, PushPrefiller) async throws -> Void
  ) async throws {
    let prefiller = PushPrefiller(notices: notices)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger, responder: prefiller)
    try await Deployment.run(prefillers: [], decoders: [decoder]) { configuration in
      configuration.prefillers = [WorkerAddress(host: "127.0.0.1", port: server.port)]
      configuration.handoff = .lmcacheDisagg
      configuration.lmcache.initPorts = Array(7300..<(7300 + ranks))
      configuration.lmcache.noticePort = 0
      configuration.deadlines.notice = notices < ranks ? .milliseconds(50) : .seconds(60)
    } _: { deployment in
      prefiller.noticePort.withLock { $0 = deployment.proxy.noticePort ?? 0 }
      try await body(deployment, prefiller)
      #expect(prefiller.deaths.entries.isEmpty)
    }
    await server.shutdown(grace: .zero)
  }

  private static func body(_ more: String = usage, chat: Bool = false) -> (path: String, text: String) {
    let prompt = chat ? #""messages":[{"role":"user","content":"x"}]"# : #""prompt":"x""#
    return (
      chat ? "/v1/chat/completions" : "/v1/completions",
      #"{\#(prompt),"max_tokens":8,"temperature":0,"stream":true\#(more)}"#
    )
  }

  private static func whole(_ body: (path: String, text: String)) -> String {
    let asked = ByteBuffer(string: body.text.dropLast() + #","return_token_ids":true}"#)
    let shown = MockGeneration(asked, isChat: body.path.contains("chat"), kind: .vllm).events.joined()
    return shown.replacing(/token_ids":\[[0-9,]*\]/, with: #"token_ids":null"#).replacing(
      #","prompt_text":null"#, with: "")
  }

  @Test(arguments: [false, true], [1, 2])
  func `The first token is the prefiller's, the rest the decoder's, and the stream is one`(chat: Bool, ranks: Int)
    async throws
  {
    let body = Self.body(chat: chat)
    try await Self.run(notices: ranks, ranks: ranks) { deployment, prefiller in
      let answer = try await deployment.post(body.text, path: body.path)
      #expect(answer.body == Self.whole(body))
      let prefill = try #require(prefiller.requests.entries.first)
      let params = try #require(prefill["kv_transfer_params"])
      #expect(prefill["max_tokens"] == 1 && prefill["stream"] == false && params["ret_first_tok"] == true)
      let spec = try #require(params["disagg_spec"])
      #expect(spec["receiver_host"] == "127.0.0.1" && spec["receiver_alloc_port"] == [8400])
      #expect(spec["receiver_init_port"] == (ranks == 1 ? [7300] : [7300, 7301]))
      let decode = try BodyParser.parse(Array(try #require(deployment.decoders[0].bodies.first).utf8))
      #expect(decode["prompt"] == [0, 1, 2, 3] && decode["max_tokens"] == 7 && decode["kv_transfer_params"] == nil)
    }
  }

  @Test func `A notice that does not come costs its time-out, and nothing else`() async throws {
    try await Self.run(notices: 1, ranks: 2) { deployment, _ in
      let answer = try await deployment.post(Self.body().text)
      #expect(answer.body == Self.whole(Self.body()))
      let stats = try await deployment.get("/stats")
      #expect(stats.body.contains(#""handoff_failed":1"#))
    }
  }

  @Test(arguments: [
    #"{"prompt":"x"}"#, #"{"prompt":"x","stream":true,"max_tokens":1}"#, #"{"prompt":"x","stream":true,"n":2}"#,
    #"{"prompt":"x","stream":true,"stop":"y"}"#, #"{"prompt":"x","stream":true,"logprobs":1}"#,
    #"{"messages":[],"stream":true,"tools":[{}]}"#, #"{"prompt":["x","y"],"stream":true}"#,
  ])
  func `What cannot begin elsewhere is the decoder's alone`(text: String) async throws {
    try await Self.run(decoder: .answers) { deployment, prefiller in
      let path = text.contains("messages") ? "/v1/chat/completions" : "/v1/completions"
      let answer = try await deployment.post(text, path: path)
      #expect(answer.head.hasPrefix("HTTP/1.1 200"))
      #expect(prefiller.requests.entries.isEmpty && deployment.decoders[0].bodies.count == 1)
    }
  }

  @Test func `A decoder that dies behind the first token is replaced without it being told twice`() async throws {
    try await Self.run(decoder: .generates(.closes(afterTokens: 2), as: .vllm)) { deployment, prefiller in
      let answer = try await deployment.post(Self.body("").text).body
      #expect(answer.hasPrefix(String(Self.whole(Self.body("")).prefix(200))))
      #expect(prefiller.requests.entries.count == 1 && deployment.decoders[0].bodies.count > 1)
    }
  }
}
