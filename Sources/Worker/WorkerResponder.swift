import Engine
import Foundation
import HTTPServer
import KVTransfer
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServingAPI
import Synchronization

/// Takes requests from the event loop: what is known at once is answered at once, everything else by a task.
///
/// The tasks' own work is short (JSON, tokenizing, text) or, for a large body, done on a thread for such; the engine
/// computes on its own threads.
final class WorkerResponder: HTTPResponder {
  let model: ServedModel
  let engine: Engine
  /// nil: this worker neither publishes nor pulls.
  let plane: KVPlane?
  let metrics: WorkerMetrics
  /// nil: handoffs mean nothing to this worker. `POST /kv/role` changes it for the requests that come after.
  let role: Mutex<KVTransferConfiguration.Role?>
  /// Choices that one request may ask for.
  let maxWaiting: Int
  let logger: Logger
  private let http: HTTPMetrics
  private let apiKeys: APIKeys
  private let version: String
  private let logsRequests: Bool
  private let isDraining = Atomic(false)

  init(_ loaded: LoadedWorker, configuration: WorkerConfiguration, logger: Logger) {
    model = loaded.model
    engine = loaded.engine
    plane = loaded.plane
    role = Mutex(loaded.plane == nil ? nil : configuration.kvTransfer?.role)
    maxWaiting = configuration.engine.maxWaiting
    self.logger = logger
    metrics = WorkerMetrics(modelName: loaded.model.names[0])
    metrics.add(
      loaded.engine, layout: loaded.layout, enablePrefixCaching: configuration.engine.enablePrefixCaching)
    if let plane = loaded.plane { metrics.add(plane, loaded.engine) }
    if let offload = loaded.offload { metrics.add(offload) }
    http = HTTPMetrics(metrics.registry)
    ProcessMetrics.add(to: metrics.registry)
    apiKeys = APIKeys(configuration.apiKeys)
    version = configuration.version
    logsRequests = configuration.logsRequests
  }

  func drain() { isDraining.store(true, ordering: .relaxed) }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    let id = RequestID(request.headers.first(name: HeaderNames.requestID))
    let headers = Self.headers(id)
    let route: Route
    switch Route.find(request.method, request.path) {
    case .found(let found): route = found
    case .notFound: return answer(.notFound, nil, writer, headers)
    case .methodNotAllowed(let allow): return answer(.methodNotAllowed(allow: allow), nil, writer, headers)
    }
    guard route.isOpen || apiKeys.accept(authorization: request.headers.authorization) else {
      return answer(.unauthorized, route, writer, headers)
    }
    switch route {
    case .tokenize, .detokenize, .completions, .chatCompletions, .responses, .messages, .embeddings, .releaseHandoff,
      .changeRole:
      let exchange = Exchange(request: request, route: route, id: id, writer: writer)
      let task = Task { await self.handle(exchange) }
      writer.onClientGone { task.cancel() }
    case .metrics:
      Task { self.answer(self.exposition(), route, writer, headers) }
    default: answer(immediate(route), route, writer, headers)
    }
  }

  private static func headers(_ id: RequestID) -> HTTPHeaders { ["server": "xpyd", HeaderNames.requestID: id.text] }

  // MARK: At once

  private func immediate(_ route: Route) -> HTTPReply {
    switch route {
    case .health, .ready:
      return HTTPReply(status: isServing ? .ok : .serviceUnavailable)
    case .ping: return HTTPReply(status: .ok)
    case .version: return .json(["version": .string(version)])
    case .load: return .json(["server_load": BodyValue(http.load)])
    case .models: return .json(ModelCard.list(model.cards))
    case .model(let name):
      guard let card = model.cards.first(where: { $0.id == name }) else { return .notFound }
      return .json(card.json)
    case .openAPI: return .json(OpenAPIDocument.document(version: version))
    case .resetPrefixCache:
      engine.resetPrefixCache()
      return HTTPReply(status: .ok)
    case .metrics, .tokenize, .detokenize, .completions, .chatCompletions, .responses, .messages, .embeddings,
      .releaseHandoff, .changeRole:
      return .notFound
    }
  }

  private var isServing: Bool { !isDraining.load(ordering: .relaxed) }

  private func exposition() -> HTTPReply {
    HTTPReply(
      status: .ok, headers: ["content-type": MediaTypes.metrics], body: Array(metrics.registry.render().utf8))
  }

  private func answer(_ reply: HTTPReply, _ route: Route?, _ writer: HTTPResponseWriter, _ headers: HTTPHeaders) {
    http.count(route, status: reply.status)
    reply.send(to: writer, headers: headers)
  }

  // MARK: By a task

  /// Bytes from which on reading a body holds up the threads that all tasks share.
  private static let largeBody = 65_536

  /// One request that a task answers.
  private struct Exchange: Sendable {
    var request: HTTPRequest
    var route: Route
    var id: RequestID
    var writer: HTTPResponseWriter

    var body: [UInt8] { Array(request.body.readableBytesView) }
    var contentType: String? { request.headers.first(name: "content-type") }
    var headers: HTTPHeaders { WorkerResponder.headers(id) }

    /// As vLLM: the body names the request where the header does not.
    func id(inBody given: String?) -> RequestID {
      guard let given, !request.headers.contains(name: HeaderNames.requestID) else { return id }
      return RequestID(given)
    }
  }

  /// What a body asks for.
  private enum Work: Sendable {
    case answer(HTTPReply)
    case generate(GenerationPlan, any GenerationFormat, RequestID)
    case embed(EmbeddingPlan, RequestID)
  }

  private func handle(_ exchange: Exchange) async {
    let started = ContinuousClock.now
    var exchange = exchange
    var logger = logger
    logger[metadataKey: "request.id"] = "\(exchange.id.text)"
    do {
      switch try await read(exchange) {
      case .answer(let reply): answer(reply, exchange.route, exchange.writer, exchange.headers)
      case .generate(let plan, let format, let id):
        exchange.id = id
        logger[metadataKey: "request.id"] = "\(id.text)"
        http.beginGeneration()
        defer { http.endGeneration() }
        let delivery = try await PromptDelivery(of: plan, over: plane, logger)
        let run = GenerationRun(
          plan: delivery.plan, format: format, model: model, engine: engine, metrics: metrics, delivery: delivery)
        var headers = exchange.headers
        if plan.earlierOutput > 0 { headers.add(name: HeaderNames.continued, value: "\(plan.earlierOutput)") }
        let summary = try await run.respond(exchange.writer, headers: headers)
        http.count(exchange.route, status: .ok)
        log(summary, exchange, since: started, logger)
      case .embed(let plan, let id):
        exchange.id = id
        logger[metadataKey: "request.id"] = "\(id.text)"
        http.beginGeneration()
        defer { http.endGeneration() }
        let run = EmbeddingRun(plan: plan, engine: engine, metrics: metrics, contextLength: model.maxModelLength)
        answer(.json(try await run.body()), exchange.route, exchange.writer, exchange.headers)
        log(plan, exchange, since: started, logger)
      }
    } catch {
      fail(error, exchange, logger)
    }
  }

  private func read(_ exchange: Exchange) async throws -> Work {
    guard exchange.request.body.readableBytes >= Self.largeBody else { return try work(exchange) }
    return try await NIOThreadPool.singleton.runIfActive { try self.work(exchange) }
  }

  private func work(_ exchange: Exchange) throws(APIError) -> Work {
    let fields = try RequestBody.parse(exchange.body, contentType: exchange.contentType)
    let now = Int(Date().timeIntervalSince1970)
    switch exchange.route {
    case .tokenize: return .answer(.json(try tokenize(fields)))
    case .detokenize: return .answer(.json(try detokenize(fields)))
    case .releaseHandoff: return .answer(try releaseHandoff(fields))
    case .changeRole: return .answer(try changeRole(fields))
    case .completions:
      let request = try CompletionRequest(fields, defaults: model.samplingDefaults)
      return try generate(exchange, request.options) { (id) throws(APIError) in try plan(request, id, now) }
    case .embeddings:
      let request = try EmbeddingRequest(fields)
      let id = exchange.id(inBody: request.options.requestID)
      return .embed(try plan(request, id, salt: salt(exchange, request.options), now), id)
    case .responses:
      let request = try ResponsesRequest(fields, defaults: model.samplingDefaults)
      return try generate(exchange, request.chat.options) { (id) throws(APIError) in try plan(request, id, now) }
    case .messages:
      let request = try MessagesRequest(fields, defaults: model.samplingDefaults)
      return try generate(exchange, request.chat.options) { (id) throws(APIError) in try plan(request, id, now) }
    default:
      let request = try ChatCompletionRequest(fields, defaults: model.samplingDefaults)
      return try generate(exchange, request.options) { (id) throws(APIError) in try plan(request, id, now) }
    }
  }

  private func generate(
    _ exchange: Exchange, _ options: RequestOptions,
    _ plan: (RequestID) throws(APIError) -> (GenerationPlan, any GenerationFormat)
  ) throws(APIError) -> Work {
    let id = exchange.id(inBody: options.requestID)
    var (plan, format) = try plan(id)
    plan.saltKV(salt(exchange, options))
    if case .pull? = plane, exchange.request.headers.first(name: HeaderNames.earlyTicket) == "1" {
      plan.announceTicket()
    }
    return .generate(plan, format, id)
  }

  /// What keeps this request's KV apart; nil: it is anybody's.
  private func salt(_ exchange: Exchange, _ options: RequestOptions) -> String? {
    guard !apiKeys.isEmpty, let authorization = exchange.request.headers.authorization else { return options.cacheSalt }
    return TenantSalt.salt(authorization: authorization, own: options.cacheSalt)
  }

  private func fail(_ error: any Error, _ exchange: Exchange, _ logger: Logger) {
    switch error {
    case let error as APIError:
      answer(.error(error, at: exchange.route), exchange.route, exchange.writer, exchange.headers)
      if error.status >= 500 {
        metrics.observeFailure(.error)
        logger.warning("Request failed", metadata: ["status": "\(error.status)", "reason": "\(error.message)"])
      } else if logsRequests {
        logger.info("Request refused", metadata: ["status": "\(error.status)", "reason": "\(error.message)"])
      }
    case let error as StreamFailed:
      http.count(exchange.route, status: .ok)
      metrics.observeFailure(.error)
      logger.warning("Stream failed", metadata: ["reason": "\(error.error.message)"])
    default:
      // The client has gone: there is nobody to answer.
      metrics.observeFailure(.abort)
      exchange.writer.abort()
      if logsRequests { logger.info("Client left", metadata: ["path": "\(exchange.route.pattern)"]) }
    }
  }

  private func log(
    _ plan: EmbeddingPlan, _ exchange: Exchange, since started: ContinuousClock.Instant, _ logger: Logger
  ) {
    guard logsRequests else { return }
    logger.info(
      "Request served",
      metadata: [
        "path": "\(exchange.route.pattern)", "prompt.tokens": "\(plan.promptTokens)",
        "duration": "\(ContinuousClock.now - started)",
      ])
  }

  private func log(
    _ summary: GenerationRun.Summary, _ exchange: Exchange, since started: ContinuousClock.Instant, _ logger: Logger
  ) {
    if case .failed(let reason)? = summary.pull {
      logger.warning("KV pull failed, the prompt was computed here", metadata: ["reason": "\(reason)"])
    }
    guard logsRequests else { return }
    var metadata: Logger.Metadata = [
      "path": "\(exchange.route.pattern)", "output.tokens": "\(summary.outputTokens)",
      "prompt.computed": "\(summary.prompt.computed)", "prompt.cached": "\(summary.prompt.prefixCache)",
      "prompt.offloaded": "\(summary.prompt.offloaded)", "prompt.pulled": "\(summary.prompt.pulled)",
      "duration": "\(ContinuousClock.now - started)",
    ]
    if let time = summary.timeToFirstToken { metadata["ttft"] = "\(time)" }
    if let handoff = summary.handoffID { metadata["handoff.id"] = "\(handoff)" }
    if case .succeeded(let report)? = summary.pull {
      metadata["pull.time"] = "\(report.duration)"
      metadata["pull.transport"] = "\(report.transport)"
    }
    logger.info("Request served", metadata: metadata)
  }
}
