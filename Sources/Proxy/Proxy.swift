import HTTPServer
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The router in front of prefillers and decoders: one port for clients, two legs for each of their requests.
package final class Proxy: Sendable {
  package let port: Int
  private let server: HTTPServer
  private let group: MultiThreadedEventLoopGroup
  private let loops: [ProxyLoop]
  private let checker: HealthChecker
  /// nil if there is nothing to find out.
  private let detector: HandoffDetector?
  /// Where prefillers that push tell of it; nil under other handoffs.
  private let listener: ZMTPListener?
  private let context: ProxyContext
  private let tasks: [Task<Void, Never>]
  /// Outlives the requests, whose spans it sends.
  private let exporting: Task<Void, Never>
  private let isShuttingDown = Mutex(false)

  private init(
    server: HTTPServer, group: MultiThreadedEventLoopGroup, loops: [ProxyLoop], checker: HealthChecker,
    detector: HandoffDetector?, listener: ZMTPListener?, keeper: FleetKeeper, context: ProxyContext
  ) {
    self.server = server
    self.group = group
    self.loops = loops
    self.checker = checker
    self.detector = detector
    self.listener = listener
    self.context = context
    tasks = [Self.report(context), Self.watchFiles(context), Self.seeOff(keeper), Self.discover(context, keeper)]
    exporting = Task { await context.spans?.run() }
    port = server.port
  }

  package var noticePort: Int? { listener?.port }

  /// - Parameter logLevel: The logger's, if it can be changed.
  /// - Throws: `HTTPServerError` if the address cannot be listened on; what is wrong with a file that is named.
  package static func start(
    _ configuration: ProxyConfiguration, logger: Logger = Logger(label: "xpyd.proxy"),
    logLevel: AdjustableLogLevel? = nil
  ) async throws -> Proxy {
    let context = try ProxyContext(configuration, logger: logger, logLevel: logLevel)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.threads))
    let loops = group.makeIterator().map { ProxyLoop(eventLoop: $0, context: context) }
    let checker = HealthChecker(loop: loops[0])
    let keeper = FleetKeeper(context: context, checker: checker)
    var limits = HTTPLimits()
    limits.bodyBytes = configuration.maxBodyBytes
    do {
      let listener = try await listenForNotices(context, on: loops[0].eventLoop)
      let server = try await HTTPServer.start(
        host: configuration.host, port: configuration.port, group: group, limits: limits, tls: context.tls,
        logger: logger, responder: ProxyResponder(context: context, keeper: keeper, loops: loops))
      checker.start()
      let detector = context.handoffChoice.isToBeDetected ? HandoffDetector(loop: loops[0]) : nil
      detector?.start()
      return Proxy(
        server: server, group: group, loops: loops, checker: checker, detector: detector, listener: listener,
        keeper: keeper, context: context)
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
  }

  /// Lets running requests finish for at most `grace`; then closes what is left. A call after the first only waits for
  /// the clients' connections to end.
  package func shutdown(grace: Duration) async {
    let isFirst = isShuttingDown.withLock { isShuttingDown in
      defer { isShuttingDown = true }
      return !isShuttingDown
    }
    guard isFirst else { return await server.shutdown(grace: grace) }
    for task in tasks { task.cancel() }
    checker.stop()
    detector?.stop()
    listener?.stop()
    await server.shutdown(grace: grace)
    for loop in loops { try? await loop.eventLoop.submit { loop.stop() }.get() }
    await context.accessLog?.stop()
    exporting.cancel()
    await exporting.value
    try? await group.shutdownGracefully()
  }

  private static func listenForNotices(
    _ context: ProxyContext, on eventLoop: any EventLoop
  ) async throws -> ZMTPListener? {
    guard context.configuration.handoff == .lmcacheDisagg else { return nil }
    let receivers = context.configuration.lmcache
    return try await ZMTPListener.start(host: receivers.noticeHost, port: receivers.noticePort, on: eventLoop) {
      if let notice = TransferNotice($0) { context.notices.came(notice) }
    }
  }

  private static func watchFiles(_ context: ProxyContext) -> Task<Void, Never> {
    Task {
      while (try? await Task.sleep(for: context.configuration.fileInterval)) != nil { context.refreshFiles() }
    }
  }

  private static func discover(_ context: ProxyContext, _ keeper: FleetKeeper) -> Task<Void, Never> {
    Task { await context.configuration.discovery?.run { keeper.discovered($0) } }
  }

  private static func seeOff(_ keeper: FleetKeeper) -> Task<Void, Never> {
    Task { while (try? await Task.sleep(for: .milliseconds(250))) != nil { keeper.sweep() } }
  }

  private static func report(_ context: ProxyContext) -> Task<Void, Never> {
    Task {
      while (try? await Task.sleep(for: context.configuration.statisticsInterval)) != nil {
        if let report = context.statistics.reportIfNew() { context.configuration.statisticsSink(report.text) }
      }
    }
  }
}

extension ProxyContext {
  /// Reads keys and certificate again if their files changed; what was read last stays if they are wrong.
  fileprivate func refreshFiles() {
    do {
      if try clientKeys.refresh() { logger.notice("Client keys were read again") }
      if try adminKeys.refresh() { logger.notice("Admin keys were read again") }
      if try tls?.refresh() == true { logger.notice("TLS certificate was read again") }
    } catch {
      logger.error("A file cannot be used; what was read before stays", metadata: ["error": "\(error)"])
    }
  }
}
