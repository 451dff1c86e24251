import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOPosix
import Proxy
import Synchronization

/// The part of Kubernetes' API that discovery asks, in process: a list, and watches that a test feeds.
final class FakeKubernetesAPI: HTTPResponder {
  enum Script: Sendable {
    case answers
    case refuses(Int)
    case breaksOff
  }

  let requests = Log<HTTPRequest>()
  let watches = Log<HTTPResponseWriter>()
  private let state = Mutex<(script: Script, version: Int, items: [String])>((.answers, 1, []))

  func play(_ script: Script) { state.withLock { $0.script = script } }

  /// What the next list has.
  func list(version: Int, _ items: String...) { state.withLock { ($0.version, $0.items) = (version, items) } }

  /// To the newest watch.
  func tell(_ type: String, _ object: String, endsWatch: Bool = false) {
    guard let watch = watches.entries.last else { return }
    watch.eventLoop.execute {
      watch.write(ByteBuffer(string: #"{"type":"\#(type)","object":\#(object)}"# + "\n"))
      if endsWatch { watch.end() }
    }
  }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    let (script, version, items) = state.withLock { $0 }
    defer { requests.add(request) }
    switch script {
    case .refuses(let status): writer.send(.init(statusCode: status), body: ByteBuffer(string: #"{"kind":"Status"}"#))
    case .breaksOff: writer.abort()
    case .answers where request.query?.contains("watch=1") == true:
      writer.start(.ok, headers: ["content-type": "application/json"])
      watches.add(writer)
    case .answers:
      let list = #"{"metadata":{"resourceVersion":"\#(version)"},"items":[\#(items.joined(separator: ","))]}"#
      writer.send(.ok, body: ByteBuffer(string: list))
    }
  }

  /// An EndpointSlice whose endpoints have these conditions.
  static func slice(
    _ name: String, version: Int = 2, type: String = "IPv4", port: Int = 8200,
    _ endpoints: [(host: String, conditions: String)]
  ) -> String {
    let list = endpoints.map { #"{"addresses":["\#($0.host)"],"conditions":{\#($0.conditions)}}"# }
    return #"{"metadata":{"name":"\#(name)","resourceVersion":"\#(version)"},"addressType":"\#(type)","#
      + #""endpoints":[\#(list.joined(separator: ","))],"ports":[{"name":"kv","port":5600},{"name":"http","port":\#(port)}]}"#
  }

  /// Serves it as long as `body` runs.
  static func run(tls: TLSFiles? = nil, _ body: (FakeKubernetesAPI, OutboundURL) async throws -> Void) async throws {
    let api = FakeKubernetesAPI()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try await HTTPServer.start(
      host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, tls: tls, logger: logger,
      responder: api)
    let url = OutboundURL("\(tls == nil ? "http" : "https")://127.0.0.1:\(server.port)")
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(api, url!)) } catch { outcome = .failure(error) }
    await server.shutdown(grace: .zero)
    try outcome.get()
  }
}
