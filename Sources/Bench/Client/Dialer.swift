import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Opens connections to one server.
struct Dialer: Sendable {
  private static let timeout = TimeAmount.seconds(30)
  /// What a slow reader reads at once, ten times a second.
  private static let slowReadBytes = 1024
  private let address: SocketAddress
  /// For errors.
  private let name: String
  private let serverName: String?
  private let tls: NIOSSLContext?

  /// Looks the host up: may block for as long as the system's resolver does.
  init(_ target: Target) throws(BenchError) {
    name = target.base.authority
    let host = target.base.host == "localhost" ? "127.0.0.1" : target.base.host
    do {
      address =
        try (try? SocketAddress(ipAddress: host, port: target.base.port))
        ?? SocketAddress.makeAddressResolvingHost(host, port: target.base.port)
      var configuration = TLSConfiguration.makeClientConfiguration()
      if !target.checksCertificate { configuration.certificateVerification = .none }
      tls = target.base.isSecure ? try NIOSSLContext(configuration: configuration) : nil
    } catch {
      throw .unknownHost(target.base.host, reason: "\(error)")
    }
    // An address is no name to indicate.
    let isName = (try? SocketAddress(ipAddress: host, port: 0)) == nil
    serverName = isName ? host : nil
  }

  /// - Parameters:
  ///   - handler: Gets HTTP parts.
  ///   - done: Called on the event loop, with why it failed, or nil if the connection stands.
  func dial(
    _ handler: some ChannelHandler, on eventLoop: any EventLoop, readsSlowly: Bool, done: @escaping (String?) -> Void
  ) {
    let bound = NIOLoopBound(handler, eventLoop: eventLoop)
    let done = NIOLoopBound(done, eventLoop: eventLoop)
    var bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(Self.timeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { [tls, serverName] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName)) }
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(bound.value)
        }
      }
    if readsSlowly {
      bootstrap = bootstrap.channelOption(.autoRead, value: false)
        .channelOption(.socketOption(.so_rcvbuf), value: .init(4 * Self.slowReadBytes))
        .channelOption(.maxMessagesPerRead, value: 1)
        .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.slowReadBytes))
    }
    bootstrap.connect(to: address).whenComplete { result in
      switch result {
      case .success: done.value(nil)
      case .failure(let error): done.value(reason(error))
      }
    }
  }

  private func reason(_ error: any Error) -> String {
    if case ChannelError.connectTimeout = error { return "\(name) did not answer in 30 s." }
    guard let code = (error as? IOError)?.errnoCode else { return "\(name) cannot be connected to: \(error)" }
    return code == ECONNREFUSED
      ? "\(name) refused the connection." : "\(name) cannot be connected to: \(String(cString: strerror(code)))."
  }
}
