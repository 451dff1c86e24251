import Bench
import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server in process that answers every generation as it is told, and keeps what it was asked.
final class ScriptedServer: HTTPResponder {
  enum Script: Sendable {
    /// Parts of an event stream, one HTTP chunk each, and a proper end.
    case streams([String])
    case status(Int, String)
    /// Sends a part of a stream and closes.
    case breaksOff(after: String)
    case closes
    /// Begins a stream and never goes on.
    case hangs
    /// Answers when `release` is called.
    case waits
  }

  let requests = Log<HTTPRequest>()
  let clientsGone = Log<Void>()
  private let script: @Sendable (Int) -> Script
  private let waiting = Mutex<[HTTPResponseWriter]>([])

  /// - Parameter script: By the request's number, from 0.
  init(_ script: @escaping @Sendable (Int) -> Script) { self.script = script }

  static let token = #"data: {"choices":[{"index":0,"text":" a"}]}"# + "\n\n"
  static let usage = #"data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2}}"# + "\n\n"
  static let answer = [token, token, usage, "data: [DONE]\n\n"]

  /// Runs `body` with a server on a port of the system's choice.
  static func run(
    _ script: @escaping @Sendable (Int) -> Script, tls: TLSFiles? = nil,
    _ body: (ScriptedServer, Target) async throws -> Void
  ) async throws {
    let responder = ScriptedServer(script)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, tls: tls, logger: logger,
      responder: responder)
    let base = BaseURL(isSecure: tls != nil, host: "127.0.0.1", port: server.port)
    let target = Target(base: base, api: .completions, model: "m")
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body(responder, target))
    } catch {
      outcome = .failure(error)
    }
    await server.shutdown(grace: .zero)
    try outcome.get()
  }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    if request.path == "/v1/models" {
      return writer.send(.ok, body: ByteBuffer(string: #"{"data":[{"id":"first"},{"id":"second"}]}"#))
    }
    writer.onClientGone { self.clientsGone.add(()) }
    let number = requests.entries.count
    defer { requests.add(request) }
    switch script(number) {
    case .streams(let parts): Self.stream(parts, writer)
    case .status(let code, let body):
      writer.send(HTTPResponseStatus(statusCode: code), body: ByteBuffer(string: body))
    case .breaksOff(let part):
      Self.begin(part, writer)
      // After what was written has left.
      writer.eventLoop.execute { writer.eventLoop.execute { writer.abort() } }
    case .closes: writer.abort()
    case .hangs: Self.begin(Self.token, writer)
    case .waits: waiting.withLock { $0.append(writer) }
    }
  }

  /// Answers the `count` requests that have waited longest.
  func release(_ count: Int) {
    let writers = waiting.withLock { waiting in
      defer { waiting.removeFirst(count) }
      return Array(waiting.prefix(count))
    }
    for writer in writers { Self.stream(Self.answer, writer) }
  }

  private static func begin(_ part: String, _ writer: HTTPResponseWriter) {
    writer.start(.ok, headers: ["content-type": "text/event-stream"])
    writer.write(ByteBuffer(string: part))
  }

  private static func stream(_ parts: [String], _ writer: HTTPResponseWriter) {
    begin(parts[0], writer)
    for part in parts.dropFirst() { writer.write(ByteBuffer(string: part)) }
    writer.end()
  }
}

extension Workload {
  static func of(_ count: Int, outputTokens: Int = 2) -> Workload {
    let request = WorkloadRequest(text: "hé\n", promptTokens: 3, outputTokens: outputTokens)
    return Workload(description: "test", requests: Array(repeating: request, count: count), promptCounts: .exact)
  }
}
