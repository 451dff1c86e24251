import Foundation
import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Proxy
import Synchronization
import TestSupport

/// A worker in process that plays a script and records what it hears. Faults are named after the moment they strike.
final class MockWorker: HTTPResponder {
  enum Script: Sendable {
    case answers
    case hangsBeforeHead
    /// From its first request on, `/health` included.
    case hangsForGood
    /// Only the first time.
    case hangsOnce
    case closesBeforeHead
    case status(Int)
    case breaksOffInBody
    /// After more than the proxy holds back.
    case breaksOffInLargeBody
    /// With as much.
    case answersAtLength
    case streamsErrorFirst
    case breaksOffAfterFirstEvent
    case hangsAfterFirstEvent
    case answersWithoutHandoff
    case answersNoJSON
    /// Raw pieces of an event stream, one HTTP chunk each.
    case streams([String])
    case floods(chunks: Int)
    /// A handoff that is released on demand, as a prefiller of ours.
    case publishes
    /// The same, but the handoff comes early, to who asks for it, and the answer when the test ends what hangs.
    case publishesEarly
    /// 500 to a handoff that this worker published.
    case refusesHandoffs(of: String)
    /// Tokens, as an engine's.
    case generates(StreamEnd, as: MockEngineKind = .ours)
  }

  static let handoff = #"{"do_remote_prefill":true, "remote_block_ids":[[1,2]],"unknown":"é"}"#
  let requests = Log<HTTPRequest>()
  let clientsGone = Log<Void>()
  /// Bodies of `/kv/role`.
  let roles = Log<String>()
  private let hanging = Log<HTTPResponseWriter>()
  /// Chunks of a flood that were written so far.
  let flooded = Log<Int>()
  private let script: Mutex<Script>
  /// What `/kv/role` is answered; as an engine that has no such path, unless told.
  let roleAnswer = Mutex(404)
  /// Whether `/health` says 503.
  private let isDraining = Mutex(false)
  private let name: String

  init(_ script: Script, name: String = "w") {
    self.script = Mutex(script)
    self.name = name
  }

  func play(_ script: Script) { self.script.withLock { $0 = script } }

  /// Answers what hangs before its head, once something does.
  func endHanging(_ status: Int) async {
    await hanging.wait(for: 1)
    for writer in hanging.entries { writer.send(HTTPResponseStatus(statusCode: status)) }
  }

  func drain() { isDraining.withLock { $0 = true } }

  var bodies: [String] { requests.entries.map { String(buffer: $0.body) } }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    let script = script.withLock { $0 }
    if request.path == "/health" {
      if case .hangsForGood = script, !requests.entries.isEmpty { return }
      return writer.send(isDraining.withLock { $0 } ? .serviceUnavailable : .ok)
    }
    if request.path == "/v1/models" {
      return writer.send(
        .ok, body: ByteBuffer(string: #"{"object":"list","data":[{"id":"m","x":1},{"id":"\#(name)"}]}"#))
    }
    if request.path == "/kv/role" {
      roles.add(String(buffer: request.body))
      return writer.send(HTTPResponseStatus(statusCode: roleAnswer.withLock { $0 }))
    }
    writer.onClientGone { self.clientsGone.add(()) }
    requests.add(request)
    let isStreamed = String(buffer: request.body).contains(#""stream":true"#)
    switch script {
    case .hangsOnce where requests.entries.count == 1: break
    case .answers where isStreamed, .hangsOnce where isStreamed: stream(Self.events(name), writer)
    case .answers, .hangsOnce: answer(handoff: Self.handoff, writer)
    case .answersWithoutHandoff: answer(handoff: "null", writer)
    case .answersNoJSON: writer.send(.ok, body: ByteBuffer(string: "oops"))
    case .hangsBeforeHead, .hangsForGood: hanging.add(writer)
    case .closesBeforeHead: writer.abort()
    case .status(let code):
      writer.send(HTTPResponseStatus(statusCode: code), body: ByteBuffer(string: #"{"error":"\#(code)"}"#))
    case .breaksOffInBody:
      writer.start(.ok, headers: ["content-length": "100"])
      writer.write(ByteBuffer(string: "{"))
      breakOff(writer)
    case .breaksOffInLargeBody: Task { await breakOffLarge(writer) }
    case .answersAtLength:
      writer.send(.ok, headers: ["content-type": "application/json"], body: ByteBuffer(string: Self.longAnswer))
    case .streamsErrorFirst:
      stream([#"data: {"error": {"message":"no KV","code":500}}\#n\#n"#, "data: [DONE]\n\n"], writer)
    case .breaksOffAfterFirstEvent:
      begin(writer, "data: 1\n\ndata: par")
      breakOff(writer)
    case .hangsAfterFirstEvent: begin(writer, "data: 1\n\n")
    case .streams(let pieces): stream(pieces, writer)
    case .publishes: publish(writer)
    case .publishesEarly:
      if request.headers.first(name: "x-xpyd-early-ticket") == "1" {
        writer.inform(["server": "xpyd", "x-xpyd-early-ticket": #"{"remote_request_id":"\#(handoffID)"}"#])
      }
      hanging.add(writer)
    case .refusesHandoffs(let name) where String(buffer: request.body).contains("cmpl-\(name)-"):
      writer.send(.internalServerError)
    case .refusesHandoffs where isStreamed: stream(Self.events(name), writer)
    case .refusesHandoffs: answer(handoff: "null", writer)
    case .generates where !isStreamed: answer(handoff: Self.handoff, writer)
    case .generates(let end, let kind): generate(MockGeneration(request, name: name, kind: kind), end, writer)
    case .floods(let chunks): Task { await flood(chunks, writer) }
    }
  }

  static let longAnswer = "{\"text\":\"" + String(repeating: "x", count: 600_000) + "\"}"

  static func events(_ name: String) -> [String] { ["data: {\"text\":\"\(name)\"}\n\n", "data: [DONE]\n\n"] }

  private func answer(handoff: String, _ writer: HTTPResponseWriter) {
    let body = #"{"text":"\#(name)","kv_transfer_params":\#(handoff)}"#
    writer.send(.ok, headers: ["content-type": "application/json", "x-engine": name], body: ByteBuffer(string: body))
  }

  /// As the ticket's `remote_request_id` has it.
  var handoffID: String { "cmpl-\(name)-0-00ff" }

  private func publish(_ writer: HTTPResponseWriter) {
    let body = #"{"text":"x","kv_transfer_params":{"remote_request_id":"\#(handoffID)"}}"#
    writer.send(.ok, headers: ["server": "xpyd"], body: ByteBuffer(string: body))
  }

  private func begin(_ writer: HTTPResponseWriter, _ first: String) {
    writer.start(.ok, headers: ["content-type": "text/event-stream; charset=utf-8"])
    writer.write(ByteBuffer(string: first))
  }

  private func stream(_ pieces: [String], _ writer: HTTPResponseWriter) {
    begin(writer, pieces[0])
    for piece in pieces.dropFirst() { writer.write(ByteBuffer(string: piece)) }
    writer.end()
  }

  private func generate(_ generation: MockGeneration, _ end: StreamEnd, _ writer: HTTPResponseWriter) {
    writer.start(.ok, headers: generation.headers)
    for event in generation.events(until: end) { writer.write(ByteBuffer(string: event)) }
    switch end {
    case .whole, .reportsError: writer.end()
    case .hangs: break
    case .closes, .closesBeforeUsage, .closesBeforeDone: breakOff(writer)
    }
  }

  /// After what was written has left.
  private func breakOff(_ writer: HTTPResponseWriter) {
    writer.eventLoop.execute { writer.eventLoop.execute { writer.abort() } }
  }

  private func breakOffLarge(_ writer: HTTPResponseWriter) async {
    writer.start(.ok, headers: ["content-type": "application/json", "content-length": "1000000"])
    // Comes back when most of it has left.
    try? await writer.writeAndWait(ByteBuffer(repeating: UInt8(ascii: " "), count: 600_000))
    writer.abort()
  }

  private func flood(_ chunks: Int, _ writer: HTTPResponseWriter) async {
    writer.start(.ok, headers: ["content-type": "text/event-stream"])
    let chunk = ByteBuffer(string: "data: " + String(repeating: "x", count: 65_528) + "\n\n")
    for number in 1...chunks {
      guard (try? await writer.writeAndWait(chunk)) != nil else { return }
      flooded.add(number)
    }
    writer.end()
  }
}

/// A proxy in front of mock workers, all in process on ports of the system's choice.
struct Deployment: Sendable {
  let prefillers: [MockWorker]
  let decoders: [MockWorker]
  let decoderAddresses: [WorkerAddress]
  let proxy: Proxy

  /// - Parameters prefillers, decoders: nil stands for a worker that refuses connections.
  static func run(
    prefillers: [MockWorker.Script?] = [.answers], decoders: [MockWorker.Script?] = [.answers],
    logLevel: AdjustableLogLevel? = nil, configure: (inout ProxyConfiguration) -> Void = { _ in },
    _ body: (Deployment) async throws -> Void
  ) async throws {
    var servers: [HTTPServer] = []
    var refusing: [RefusingPort] = []
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    func start(_ scripts: [MockWorker.Script?], _ name: String) async throws -> ([MockWorker], [WorkerAddress]) {
      var workers: [MockWorker] = []
      var addresses: [WorkerAddress] = []
      for (index, script) in scripts.enumerated() {
        let worker = MockWorker(script ?? .answers, name: "\(name)\(index + 1)")
        workers.append(worker)
        guard script != nil else {
          let port = RefusingPort()
          refusing.append(port)
          addresses.append(WorkerAddress(host: "127.0.0.1", port: port.number))
          continue
        }
        let server = try await HTTPServer.start(
          host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger, responder: worker)
        addresses.append(WorkerAddress(host: "127.0.0.1", port: server.port))
        servers.append(server)
      }
      return (workers, addresses)
    }
    let (prefillers, prefillAddresses) = try await start(prefillers, "p")
    let (decoders, decodeAddresses) = try await start(decoders, "d")
    var configuration = ProxyConfiguration(prefillers: prefillAddresses, decoders: decodeAddresses)
    configuration.host = "127.0.0.1"
    configuration.port = 0
    configuration.statisticsSink = { _ in }
    // Health checks do not come between the scripted faults.
    configuration.healthCheck.interval = .seconds(3600)
    configure(&configuration)
    let proxy = try await Proxy.start(configuration, logger: logger, logLevel: logLevel)
    let outcome: Result<Void, any Error>
    do {
      let deployment = Deployment(
        prefillers: prefillers, decoders: decoders, decoderAddresses: decodeAddresses, proxy: proxy)
      outcome = .success(try await body(deployment))
    } catch {
      outcome = .failure(error)
    }
    await proxy.shutdown(grace: .zero)
    for server in servers { await server.shutdown(grace: .zero) }
    withExtendedLifetime(refusing) {}
    try outcome.get()
  }

  /// What a decoder gets of it: a stream is asked for its token ids too.
  static func followed(_ body: String) -> String {
    body.contains(#""stream":true"#) ? body.dropLast() + #","return_token_ids":true}"# : body
  }

  func client() async throws -> RawClient { try await RawClient.connect(proxy.port) }

  static func request(_ body: String, path: String = "/v1/completions", fields: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
  }

  /// - Returns: Head and body, the chunked coding taken off.
  func post(_ body: String, path: String = "/v1/completions", fields: String = "") async throws -> (
    head: String, body: String
  ) {
    let client = try await client()
    client.send(Self.request(body, path: path, fields: fields))
    return Self.split(await client.receiveAll())
  }

  func get(_ path: String, fields: String = "") async throws -> (head: String, body: String) {
    let client = try await client()
    client.send("GET \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\(fields)\r\n")
    return Self.split(await client.receiveAll())
  }

  static func split(_ answer: String) -> (head: String, body: String) {
    guard let end = answer.range(of: "\r\n\r\n") else { return (answer, "") }
    let head = String(answer[..<end.lowerBound])
    var rest = Array(answer[end.upperBound...].utf8)[...]
    guard head.contains("transfer-encoding: chunked") else { return (head, String(decoding: rest, as: UTF8.self)) }
    var body: [UInt8] = []
    while let lineEnd = rest.firstIndex(of: 0x0D),
      let size = Int(String(decoding: rest[..<lineEnd], as: UTF8.self), radix: 16),
      size > 0, lineEnd + 2 + size <= rest.endIndex
    {
      body += rest[(lineEnd + 2)..<(lineEnd + 2 + size)]
      rest = rest[min(rest.endIndex, lineEnd + 4 + size)...]
    }
    return (head, String(decoding: body, as: UTF8.self))
  }
}
