import Glibc
import NIOCore
import NIOPosix

/// One event loop's connections to all workers: the newest idle one is used first, old ones are closed by `sweep`.
/// Belongs to its event loop; not Sendable.
final class UpstreamPool {
  private let eventLoop: any EventLoop
  private let connectTimeout: TimeAmount
  private let keepAlive: TimeAmount
  private var idle: [ObjectIdentifier: [UpstreamConnection]] = [:]

  init(eventLoop: any EventLoop, deadlines: ProxyDeadlines) {
    self.eventLoop = eventLoop
    connectTimeout = TimeAmount(deadlines.connect)
    keepAlive = TimeAmount(deadlines.keepAlive)
  }

  var isEmpty: Bool { idle.values.allSatisfy(\.isEmpty) }

  func takeIdle(_ worker: Worker) -> UpstreamConnection? {
    let oldest = NIODeadline.now() - keepAlive
    while let connection = idle[ObjectIdentifier(worker)]?.popLast() {
      if connection.isUsable, connection.idleSince > oldest { return connection }
      connection.close()
    }
    return nil
  }

  func giveBack(_ connection: UpstreamConnection) {
    connection.idleSince = .now()
    idle[ObjectIdentifier(connection.worker), default: []].append(connection)
  }

  func forget(_ connection: UpstreamConnection) {
    idle[ObjectIdentifier(connection.worker)]?.removeAll { $0 === connection }
  }

  func sweep(now: NIODeadline) {
    for (worker, connections) in idle {
      guard let first = connections.first, first.idleSince <= now - keepAlive else { continue }
      let kept = connections.filter { $0.idleSince > now - keepAlive }
      idle[worker] = kept.isEmpty ? nil : kept
      for connection in connections where connection.idleSince <= now - keepAlive { connection.close() }
    }
  }

  func closeAll() {
    let all = idle.values.flatMap { $0 }
    idle = [:]
    for connection in all { connection.close() }
  }

  func connect(to worker: Worker, then handle: @escaping (Result<UpstreamConnection, LegFault>) -> Void) {
    let connection = NIOLoopBound(UpstreamConnection(worker: worker, pool: self), eventLoop: eventLoop)
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(connection.value) }
      }
    // The system may resolve localhost to ::1 first, where most engines do not listen.
    let host = worker.address.host == "localhost" ? "127.0.0.1" : worker.address.host
    let connecting =
      if let address = try? SocketAddress(ipAddress: host, port: worker.address.port) {
        bootstrap.connect(to: address)
      } else {
        bootstrap.connect(host: host, port: worker.address.port)
      }
    connecting.assumeIsolatedUnsafeUnchecked().whenComplete { result in
      switch result {
      case .success: handle(.success(connection.value))
      case .failure(ChannelError.connectTimeout): handle(.failure(.connectTimeout))
      case .failure(let error): handle(.failure(.connect(reason: Self.reason(error))))
      }
    }
  }

  /// Says of a worker why it cannot be connected to.
  private static func reason(_ error: any Error) -> String {
    let failure = error as? NIOConnectionError
    let cause = failure?.connectionErrors.last?.error ?? failure?.dnsAError ?? error
    guard let code = (cause as? IOError)?.errnoCode else {
      return failure == nil ? "cannot be connected to (\(cause))" : "cannot be found: its host name does not resolve"
    }
    return code == ECONNREFUSED
      ? "refused the connection" : "cannot be connected to (\(String(cString: strerror(code))))"
  }
}

extension TimeAmount {
  init(_ duration: Duration) { self = .nanoseconds(duration.nanoseconds) }
}
