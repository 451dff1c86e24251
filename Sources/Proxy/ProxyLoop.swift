import HTTPServer
import Logging
import NIOCore

/// What all requests of one proxy share. Immutable but for what guards itself.
final class ProxyContext: Sendable {
  let configuration: ProxyConfiguration
  let registry: WorkerRegistry
  let shapeRules: ShapeRules
  let handoffChoice: HandoffChoice
  let disaggregation: Disaggregation
  let metrics: ProxyMetrics
  let requestMetrics: RequestMetrics
  let admission: Admission
  let clientKeys: ClientKeys
  /// Empty: nobody may change anything.
  let adminKeys: ClientKeys
  let tls: TLSFiles?
  let accessLog: AccessLog?
  let spans: SpanExporter?
  /// nil if the level cannot be changed.
  let logLevel: AdjustableLogLevel?
  let statistics: TTFTStatistics
  let notices = TransferNotices()
  let rotation = Rotation()
  /// Random, so that no two proxies, nor two lives of one, give out the same request ids.
  private let requestIDPrefix = String(UInt64.random(in: .min ... .max) | 1 << 63, radix: 16)
  let logger: Logger

  /// - Throws: `APIKeyFileError`, `TLSFilesError` or `AccessLogError`.
  init(_ configuration: ProxyConfiguration, logger: Logger, logLevel: AdjustableLogLevel?) throws {
    self.configuration = configuration
    self.logger = logger
    self.logLevel = logLevel
    clientKeys = try ClientKeys(configuration.clientKeys, file: configuration.clientKeyFile)
    adminKeys = try ClientKeys(configuration.adminKeys, file: configuration.adminKeyFile)
    tls = try configuration.tls.map { try TLSFiles(certificate: $0.certificate, key: $0.key) }
    accessLog = try configuration.accessLog.map { try AccessLog($0) }
    shapeRules = configuration.shapeRules
    handoffChoice = HandoffChoice(configuration)
    metrics = ProxyMetrics()
    disaggregation = Disaggregation(configuration.disaggregation, registry: metrics.registry)
    requestMetrics = RequestMetrics(metrics.registry)
    registry = WorkerRegistry(configuration, metrics: requestMetrics)
    metrics.show(registry)
    admission = Admission(configuration.admission, metrics: requestMetrics)
    spans = configuration.tracing.map { [registry = metrics.registry] in
      SpanExporter($0, version: configuration.version, registry: registry)
    }
    admission.show(in: metrics.registry)
    accessLog?.show(in: metrics.registry)
    statistics = TTFTStatistics(prefillers: registry.fleet.prefillers.workers.count)
  }

  /// Of this moment; a request may see several.
  var prefillers: WorkerPool { registry.fleet.prefillers }
  var decoders: WorkerPool { registry.fleet.decoders }

  /// Whether there are requests that may take both legs or one.
  var decidesWay: Bool { configuration.disaggregation != .tokens(0) || prefillers.hasTwins }

  /// What a request that begins now uses; nil if there is no prefill leg.
  var handoff: (any Handoff)? { isWithoutPrefillers ? nil : handoffChoice.handoff }

  var handoffKind: HandoffKind { isWithoutPrefillers ? .none : handoffChoice.kind }

  /// Nobody can prefill for others, and nobody said that somebody should.
  private var isWithoutPrefillers: Bool { configuration.handoff == .auto && prefillers.workers.isEmpty }

  func newRequestID(_ shape: RequestShape) -> String { "\(requestIDPrefix)-\(shape.sequence)" }

  /// Books what a leg's fault says of its worker, and logs a change.
  func book(_ fault: LegFault, of leg: UpstreamLeg) {
    metrics.legFailed(leg.worker.role, fault)
    guard let workerFault = fault.workerFault else { return }
    change(leg.worker) { $0.legFailed(workerFault, leg.epoch, now: .now()) }
  }

  func change(_ worker: Worker, _ update: (inout WorkerHealth) -> Void) {
    logChange(of: worker, worker.updateHealth(update))
  }

  func logChange(of worker: Worker, _ change: (before: WorkerHealth.Fault?, after: WorkerHealth.Fault?)) {
    guard (change.before == nil) != (change.after == nil) else { return }
    let metadata: Logger.Metadata = ["worker": "\(worker.name)", "address": "\(worker.address)"]
    if let fault = change.after {
      worker.series.ejections.increment()
      registry.forgetPrompts(of: worker)
      logger.warning("Worker is down", metadata: metadata.merging(["fault": "\(fault)"]) { $1 })
    } else {
      logger.notice(change.before == .joining ? "Worker has joined" : "Worker is up again", metadata: metadata)
    }
  }
}

/// One event loop's part of the proxy: its connections to the workers and its running requests, whose deadlines one
/// repeated task watches, so that a request schedules nothing. Belongs to its event loop.
// SAFETY: every stored `var` and the pool are used on `eventLoop` only; `ProxyResponder` hands it out there.
final class ProxyLoop: @unchecked Sendable {
  let eventLoop: any EventLoop
  let context: ProxyContext
  let pool: UpstreamPool
  var retries: RetryBudget
  var held: HeldAnswers
  private var exchanges: [ObjectIdentifier: RequestExchange] = [:]
  private var ticker: RepeatedTask?

  init(eventLoop: any EventLoop, context: ProxyContext) {
    self.eventLoop = eventLoop
    self.context = context
    retries = context.configuration.retryBudget
    held = HeldAnswers(limit: context.configuration.heldAnswerBytes / max(1, context.configuration.threads))
    pool = UpstreamPool(eventLoop: eventLoop, deadlines: context.configuration.deadlines)
  }

  /// Requests that have not ended.
  var activeRequests: Int { exchanges.count }

  func add(_ exchange: RequestExchange) {
    exchanges[ObjectIdentifier(exchange)] = exchange
    guard ticker == nil else { return }
    let resolution = TimeAmount(context.configuration.deadlines.resolution)
    ticker = eventLoop.scheduleRepeatedTask(initialDelay: resolution, delay: resolution) { [weak self] _ in self?.tick()
    }
  }

  func remove(_ exchange: RequestExchange) { exchanges[ObjectIdentifier(exchange)] = nil }

  func stop() {
    ticker?.cancel()
    ticker = nil
    pool.closeAll()
  }

  private func tick() {
    let now = NIODeadline.now()
    for exchange in Array(exchanges.values) { exchange.checkDeadline(now: now) }
    pool.sweep(now: now)
    context.admission.expire(now: now)
    guard exchanges.isEmpty, pool.isEmpty else { return }
    ticker?.cancel()
    ticker = nil
  }
}
