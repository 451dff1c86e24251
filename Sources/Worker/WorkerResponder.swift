import Engine
import Foundation
import HTTPServer
import Logging
import NIOCore
import NIOHTTP1
import ServingAPI
import Synchronization

/// Takes requests from the event loop: what is known at once is answered at once, everything else by a task.
///
/// The tasks' own work is short (JSON, tokenizing, text); the engine computes on its own threads.
final class WorkerResponder: HTTPResponder {
  let model: ServedModel
  let engine: Engine
  let metrics: WorkerMetrics
  let role: KVTransferConfiguration.Role?
  let logger: Logger
  private let http: HTTPMetrics
  private let apiKeys: APIKeys
  private let version: String
  private let logsRequests: Bool
  private let isDraining = Atomic(false)

  init(_ loaded: LoadedWorker, configuration: WorkerConfiguration, logger: Logger) {
    model = loaded.model
    engine = loaded.engine
    role = configuration.kvTransfer?.role
    self.logger = logger
    metrics = WorkerMetrics(modelName: loaded.model.names[0])
    metrics.add(
      loaded.engine, layout: loaded.layout, enablePrefixCaching: configuration.engine.enablePrefixCaching)
    if let transport = loaded.transport { metrics.add(transport) }
    http = HTTPMetrics(metrics.registry)
    ProcessMetrics.add(to: metrics.registry)
    apiKeys = APIKeys(configuration.apiKeys)
    version = configuration.version
    logsRequests = configuration.logsRequests
  }

  func drain() { isDraining.store(true, ordering: .relaxed) }

  func respond(to request: HTTPRequest, writer: HTTPResponseWriter) {
    let id = RequestID(request.headers.first(name: HeaderNames.requestID))
    let headers: HTTPHeaders = ["server": "xpyd", HeaderNames.requestID: id.text]
    let route: Route
    switch Route.find(request.method, request.path) {
    case .found(let found): route = found
    case .notFound: return answer(.notFound, nil, writer, headers)
    case .methodNotAllowed(let allow): return answer(.methodNotAllowed(allow: allow), nil, writer, headers)
    }
    guard route.isOpen || apiKeys.accept(authorization: request.headers.first(name: "authorization")) else {
      return answer(.unauthorized, route, writer, headers)
    }
    switch route {
    case .tokenize, .detokenize, .completions, .chatCompletions:
      let exchange = Exchange(request: request, route: route, id: id, writer: writer, headers: headers)
      let task = Task { await self.handle(exchange) }
      writer.onClientGone { task.cancel() }
    case .metrics:
      Task { self.answer(self.exposition(), route, writer, headers) }
    default: answer(immediate(route), route, writer, headers)
    }
  }

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
    case .metrics, .tokenize, .detokenize, .completions, .chatCompletions: return .notFound
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

  /// One request that a task answers.
  private struct Exchange: Sendable {
    var request: HTTPRequest
    var route: Route
    var id: RequestID
    var writer: HTTPResponseWriter
    var headers: HTTPHeaders

    var body: [UInt8] { Array(request.body.readableBytesView) }
    var contentType: String? { request.headers.first(name: "content-type") }
  }

  private func handle(_ exchange: Exchange) async {
    let started = ContinuousClock.now
    var logger = logger
    logger[metadataKey: "request.id"] = "\(exchange.id.text)"
    do {
      let fields = try RequestBody.parse(exchange.body, contentType: exchange.contentType)
      switch exchange.route {
      case .tokenize: answer(.json(try tokenize(fields)), exchange.route, exchange.writer, exchange.headers)
      case .detokenize: answer(.json(try detokenize(fields)), exchange.route, exchange.writer, exchange.headers)
      default:
        http.beginGeneration()
        defer { http.endGeneration() }
        let summary = try await generate(exchange, fields, logger)
        http.count(exchange.route, status: .ok)
        log(summary, exchange, since: started, logger)
      }
    } catch {
      fail(error, exchange, logger)
    }
  }

  private func generate(
    _ exchange: Exchange, _ fields: BodyValue.Fields, _ logger: Logger
  ) async throws -> GenerationRun.Summary {
    let now = Int(Date().timeIntervalSince1970)
    let (plan, format) =
      try exchange.route == .completions
      ? self.plan(CompletionRequest(fields), exchange.id, now)
      : self.plan(ChatCompletionRequest(fields), exchange.id, now)
    var headers = exchange.headers
    headers.replaceOrAdd(name: HeaderNames.requestID, value: exchange.id.text)
    return try await GenerationRun(plan: plan, format: format, model: model, engine: engine, metrics: metrics)
      .respond(exchange.writer, headers: headers)
  }

  private func fail(_ error: any Error, _ exchange: Exchange, _ logger: Logger) {
    switch error {
    case let error as APIError:
      answer(.error(error), exchange.route, exchange.writer, exchange.headers)
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
    _ summary: GenerationRun.Summary, _ exchange: Exchange, since started: ContinuousClock.Instant, _ logger: Logger
  ) {
    if case .failed(let reason)? = summary.pull {
      logger.warning("KV pull failed, the prompt was computed here", metadata: ["reason": "\(reason)"])
    }
    guard logsRequests else { return }
    var metadata: Logger.Metadata = [
      "path": "\(exchange.route.pattern)", "output.tokens": "\(summary.outputTokens)",
      "prompt.computed": "\(summary.prompt.computed)", "prompt.cached": "\(summary.prompt.prefixCache)",
      "prompt.pulled": "\(summary.prompt.pulled)", "duration": "\(ContinuousClock.now - started)",
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
