import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// Routes a client's request: to a worker by way of a `RequestExchange`, or to what the proxy answers itself.
final class ProxyResponder: HTTPResponder {
  private let context: ProxyContext
  private let administration: WorkerAdministration
  private let loops: [ObjectIdentifier: ProxyLoop]

  init(context: ProxyContext, keeper: FleetKeeper, loops: [ProxyLoop]) {
    self.context = context
    administration = WorkerAdministration(context: context, keeper: keeper)
    self.loops = Dictionary(uniqueKeysWithValues: loops.map { (ObjectIdentifier($0.eventLoop), $0) })
  }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    guard let loop = loops[ObjectIdentifier(writer.eventLoop)] else { return writer.send(.internalError()) }
    let endpoint = Endpoint(path: request.path)
    let visit = Visit(request, endpoint: endpoint, writer: writer, loop: loop)
    if endpoint?.isLogged ?? true { visit.logAtEnd() }
    if let origin = request.headers.first(name: "origin") {
      if let preflight = context.configuration.cors.preflight(request) { return answer(preflight, writer) }
      writer.add(fields: context.configuration.cors.answerFields(origin: origin))
    }
    guard let endpoint else { return writer.send(.unknownPath(request.path)) }
    guard endpoint.methods.contains(request.method == .HEAD ? "GET" : request.method.rawValue) else {
      return writer.send(.methodNotAllowed(endpoint.methods))
    }
    guard !endpoint.needsKey || context.clientKeys.accept(request.headers) else { return writer.send(.unauthorized) }
    switch endpoint {
    case .completions, .chat, .responses, .messages, .embeddings: compute(visit, endpoint)
    case .tokenize, .detokenize, .score, .rerank, .pooling, .classify:
      visit.admit(body: nil)
    case .models: ModelList.gather(for: request, writer: writer, loop: loop)
    case .health: writer.send(.ok)
    case .ready: ready(writer)
    case .metrics:
      writer.send(
        .ok, headers: ["content-type": MediaTypes.metrics], body: ByteBuffer(string: context.metrics.registry.render()))
    case .stats: writer.send(.ok, context.statsPage)
    case .version: writer.send(.ok, ["version": .string(context.configuration.version)])
    case .load: writer.send(.ok, context.loadPage)
    case .logLevel: logLevel(request, writer)
    case .dashboard: writer.send(.ok, headers: Dashboard.fields, body: Dashboard.page)
    case .workerMetrics: WorkerMetrics.relay(request, writer: writer, loop: loop)
    case .adminWorkers, .adminWorker: administration.answer(request, endpoint, writer, loop)
    }
  }

  private func compute(_ visit: Visit, _ endpoint: Endpoint) {
    do {
      let body = try ClientBody(visit.request.body, limit: endpoint.limit, generates: endpoint.generates)
      visit.admit(body: context.clientKeys.isEmpty ? body : body.salted(for: visit.request.headers))
    } catch {
      visit.writer.send(.badRequest("\(error)"))
    }
  }

  private func ready(_ writer: HTTPResponseWriter) {
    let missing = context.missingRoles
    if missing.isEmpty { return writer.send(.ok) }
    writer.send(.overloaded("No \(missing.joined(separator: " and no ")) is up.", retryAfter: 1))
  }

  private func answer(_ preflight: CORSPolicy.Preflight, _ writer: HTTPResponseWriter) {
    switch preflight {
    case .allowed(let fields): writer.send(.ok, headers: fields, body: ByteBuffer(string: "OK"))
    case .refused(let what): writer.send(.badRequest("Pages of this origin may not do this: \(what)."))
    }
  }

  /// GET tells the level, PUT with its name as body sets it.
  private func logLevel(_ request: HTTPRequest, _ writer: HTTPResponseWriter) {
    guard let level = context.logLevel else {
      return writer.send(.unknownPath(request.path))
    }
    if request.method == .PUT, !level.set(String(buffer: request.body).filter { !$0.isWhitespace && $0 != "\"" }) {
      return writer.send(.badRequest("The level is trace, debug, info, notice, warning, error or critical."))
    }
    writer.send(.ok, ["level": .string(level.current.rawValue)])
  }
}

extension HTTPResponseWriter {
  func send(_ status: HTTPResponseStatus, _ json: BodyValue) {
    send(status, headers: ["content-type": MediaTypes.json], body: ByteBuffer(bytes: json.encoded))
  }
}
