import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A strict HTTP/1.1 server: parses requests, hands each whole one to the responder, keeps order and deadlines.
package final class HTTPServer: Sendable {
  /// The port that it listens on; the one that the system chose if 0 was asked for.
  package let port: Int
  private let listener: any Channel
  private let registry: ConnectionRegistry
  private let isShuttingDown = Mutex(false)

  private init(listener: any Channel, port: Int, registry: ConnectionRegistry) {
    self.listener = listener
    self.port = port
    self.registry = registry
  }

  /// - Parameters: host: `localhost` means 127.0.0.1. tls: nil: plain HTTP.
  /// - Throws: `HTTPServerError` if the address cannot be listened on.
  package static func start(
    host: String, port: Int, group: any EventLoopGroup, limits: HTTPLimits = HTTPLimits(),
    tls: TLSFiles? = nil, logger: Logger, responder: any HTTPResponder
  ) async throws -> HTTPServer {
    let registry = ConnectionRegistry()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          registry.add(channel)
          if let tls { try channel.pipeline.syncOperations.addHandler(tls.newHandler()) }
          let connection = HTTPConnection(limits: limits, responder: responder)
          try channel.pipeline.syncOperations.addHandler(connection)
        }
      }
    let listener: any Channel
    do {
      listener = try await bootstrap.bind(host: host == "localhost" ? "127.0.0.1" : host, port: port).get()
    } catch {
      throw HTTPServerError.cannotListen(host: host, port: port, reason: "\(error)")
    }
    let bound = listener.localAddress?.port ?? port
    logger.info("Listening", metadata: ["host": "\(host)", "port": "\(bound)"])
    return HTTPServer(listener: listener, port: bound, registry: registry)
  }

  /// Stops accepting, lets running responses finish for at most `grace`, then closes what is left. A call after the
  /// first, whose event loops may be gone, only waits for the connections' end.
  package func shutdown(grace: Duration) async {
    let isFirst = isShuttingDown.withLock { isShuttingDown in
      defer { isShuttingDown = true }
      return !isShuttingDown
    }
    guard isFirst else { return await registry.waitUntilEmpty() }
    try? await listener.close().get()
    registry.drain()
    let deadline = listener.eventLoop.scheduleTask(in: .nanoseconds(grace.nanoseconds)) { [registry] in
      registry.closeAll()
    }
    await registry.waitUntilEmpty()
    deadline.cancel()
  }
}

package enum HTTPServerError: Error, CustomStringConvertible {
  case cannotListen(host: String, port: Int, reason: String)

  package var description: String {
    switch self {
    case .cannotListen(let host, let port, let reason):
      "Cannot listen on \(host):\(port): \(reason). Stop what uses the port, or choose another with --port."
    }
  }
}

/// The open connections of a server. A `Mutex` guards the few words; nothing is called under it.
final class ConnectionRegistry: Sendable {
  private struct State {
    var channels: [ObjectIdentifier: any Channel] = [:]
    var isDraining = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  func add(_ channel: any Channel) {
    let isDraining = state.withLock {
      $0.channels[ObjectIdentifier(channel)] = channel
      return $0.isDraining
    }
    channel.closeFuture.whenComplete { _ in self.remove(channel) }
    if isDraining { channel.close(promise: nil) }
  }

  private func remove(_ channel: any Channel) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.channels[ObjectIdentifier(channel)] = nil
      guard state.channels.isEmpty else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  func drain() {
    let channels = state.withLock { state in
      state.isDraining = true
      return Array(state.channels.values)
    }
    for channel in channels { channel.pipeline.fireUserInboundEventTriggered(DrainEvent()) }
  }

  func closeAll() {
    for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
  }

  func waitUntilEmpty() async {
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLock { state in
        if !state.channels.isEmpty { state.waiters.append(continuation) }
        return state.channels.isEmpty
      }
      if isEmpty { continuation.resume() }
    }
  }
}

extension Duration {
  /// Whole nanoseconds, at most `Int64.max`.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || sumOverflow ? .max : sum
  }
}
