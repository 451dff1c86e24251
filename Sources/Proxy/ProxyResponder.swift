import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// Routes a client's request: to a `RequestExchange`, or to what the proxy answers itself.
final class ProxyResponder: HTTPResponder {
  private let context: ProxyContext
  private let apiKeys: APIKeys
  private let loops: [ObjectIdentifier: ProxyLoop]

  init(context: ProxyContext, loops: [ProxyLoop]) {
    self.context = context
    apiKeys = APIKeys(context.configuration.clientKeys)
    self.loops = Dictionary(uniqueKeysWithValues: loops.map { (ObjectIdentifier($0.eventLoop), $0) })
  }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    guard let loop = loops[ObjectIdentifier(writer.eventLoop)] else { return writer.send(.internalError()) }
    guard let endpoint = Endpoint(path: request.path) else { return writer.send(.unknownPath(request.path)) }
    let isAllowed = request.method.rawValue == endpoint.method || (endpoint.method == "GET" && request.method == .HEAD)
    guard isAllowed else { return writer.send(.methodNotAllowed(endpoint.method)) }
    guard !endpoint.needsKey || apiKeys.accept(authorization: request.headers.first(name: "authorization")) else {
      return writer.send(.unauthorized)
    }
    switch endpoint {
    case .completions, .chat: generate(request, endpoint, writer, loop)
    case .tokenize, .detokenize:
      RequestExchange(request, endpoint: endpoint, body: nil, writer: writer, loop: loop).start()
    case .models: ModelList.gather(for: request, writer: writer, loop: loop)
    case .health: writer.send(.ok)
    case .ready: ready(writer)
    case .metrics:
      writer.send(
        .ok, headers: ["content-type": MediaTypes.metrics], body: ByteBuffer(string: context.metrics.registry.render()))
    case .stats: writer.send(.ok, context.statsPage)
    case .version: writer.send(.ok, ["version": .string(context.configuration.version)])
    }
  }

  private func generate(
    _ request: HTTPRequest, _ endpoint: Endpoint, _ writer: HTTPResponseWriter, _ loop: ProxyLoop
  ) {
    do {
      let body = try ClientBody(request.body)
      RequestExchange(request, endpoint: endpoint, body: body, writer: writer, loop: loop).start()
    } catch {
      writer.send(.badRequest("\(error)"))
    }
  }

  private func ready(_ writer: HTTPResponseWriter) {
    let missing = context.missingRoles
    if missing.isEmpty { return writer.send(.ok) }
    writer.send(.overloaded("No \(missing.joined(separator: " and no ")) is up.", retryAfter: 1))
  }
}

extension HTTPResponseWriter {
  fileprivate func send(_ status: HTTPResponseStatus, _ json: BodyValue) {
    send(status, headers: ["content-type": MediaTypes.json], body: ByteBuffer(bytes: json.encoded))
  }
}
