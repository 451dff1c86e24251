import HTTPServer
import NIOCore
import NIOPosix
import NIOSSL

/// A request to a server that is no worker, over a connection of its own that ends with the answer.
struct OutboundRequest: Sendable {
  var method = "GET"
  let url: OutboundURL
  /// With the query.
  var target: String
  var fields: [(name: String, value: String)] = []
  var body = ByteBuffer()
  /// PEM of who must have signed the server's certificate; nil: anybody whom the system trusts.
  var certificateAuthority: String?
  /// Between two parts of the answer, and before the first.
  var idle = Duration.seconds(30)

  fileprivate var bytes: ByteBuffer {
    var head = ByteBuffer(string: "\(method) \(target) HTTP/1.1\r\nhost: \(url.address)\r\nconnection: close\r\n")
    for (name, value) in fields { head.writeString("\(name): \(value)\r\n") }
    head.writeString("content-length: \(body.readableBytes)\r\n\r\n")
    head.writeImmutableBuffer(body)
    return head
  }
}

/// Why there was no answer, or not all of it.
enum OutboundError: Error, Equatable, CustomStringConvertible {
  case unreachable(OutboundURL, reason: String)
  case ended(OutboundURL)
  case silent(OutboundURL)

  var description: String {
    switch self {
    case .unreachable(let url, let reason): "\(url) cannot be reached: \(reason)"
    case .ended(let url): "\(url) closed the connection before its answer was complete"
    case .silent(let url): "\(url) stopped answering"
    }
  }
}

extension OutboundRequest {
  enum Part: Sendable {
    case status(Int)
    case bytes(ByteBuffer)
  }

  /// Sends it, and comes back when the answer has ended.
  ///
  /// - Parameter take: Gets the status, then the body as it comes, on an event loop; what it throws ends the call.
  /// - Throws: `OutboundError`, or what `take` throws. A task that is cancelled ends the call, too.
  func send(_ take: @escaping @Sendable (Part) throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let tls = try url.isSecure ? makeTLS() : nil
    let eventLoop = group.next()
    let done = eventLoop.makePromise(of: Void.self)
    let (url, bytes, idle, host) = (self.url, self.bytes, TimeAmount(self.idle), self.url.address.host)
    let connecting = ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls {
            let isName = (try? SocketAddress(ipAddress: host, port: 0)) == nil
            let handler = try NIOSSLClientHandler(context: tls, serverHostname: isName ? host : nil)
            try channel.pipeline.syncOperations.addHandler(handler)
          }
          let call = OutboundCall(url: url, request: bytes, idle: idle, done: done, take: take)
          try channel.pipeline.syncOperations.addHandler(call)
        }
      }
      .connect(host: host == "localhost" ? "127.0.0.1" : host, port: url.address.port)
    let channel: any Channel
    do {
      channel = try await connecting.get()
    } catch {
      let error = OutboundError.unreachable(url, reason: "\(error)")
      done.fail(error)
      throw error
    }
    try await withTaskCancellationHandler {
      try await done.futureResult.get()
    } onCancel: {
      channel.close(promise: nil)
    }
  }

  private func makeTLS() throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    if let certificateAuthority { configuration.trustRoots = .file(certificateAuthority) }
    configuration.applicationProtocols = ["http/1.1"]
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw OutboundError.unreachable(url, reason: "\(certificateAuthority ?? "TLS") cannot be used: \(error)")
    }
  }
}

/// Belongs to its event loop; not Sendable.
private final class OutboundCall: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  private let url: OutboundURL
  private let request: ByteBuffer
  private let idle: TimeAmount
  private let done: EventLoopPromise<Void>
  private let take: @Sendable (OutboundRequest.Part) throws -> Void
  private var parser = HTTPResponseParser()
  private var inbox = ByteBuffer()
  private var timeout: Scheduled<Void>?
  private var isDone = false

  init(
    url: OutboundURL, request: ByteBuffer, idle: TimeAmount, done: EventLoopPromise<Void>,
    take: @escaping @Sendable (OutboundRequest.Part) throws -> Void
  ) {
    self.url = url
    self.request = request
    self.idle = idle
    self.done = done
    self.take = take
  }

  func channelActive(context: ChannelHandlerContext) {
    context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    expectMore(context)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDone else { return }
    var bytes = unwrapInboundIn(data)
    inbox.discardReadBytes()
    inbox.writeBuffer(&bytes)
    expectMore(context)
    do {
      while !isDone, let event = try parser.next(&inbox) {
        switch event {
        case .early: break
        case .head(let head): try take(.status(Int(head.status.code)))
        case .bytes(let bytes): try take(.bytes(bytes))
        case .end: finish(nil, context)
        }
      }
    } catch {
      finish(error, context)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(parser.mayEndByClose ? nil : OutboundError.ended(url), context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    finish(OutboundError.unreachable(url, reason: "\(error)"), context)
  }

  private func expectMore(_ context: ChannelHandlerContext) {
    timeout?.cancel()
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    timeout = context.eventLoop.scheduleTask(in: idle) {
      let (call, context) = bound.value
      call.finish(OutboundError.silent(call.url), context)
    }
  }

  private func finish(_ error: (any Error)?, _ context: ChannelHandlerContext) {
    guard !isDone else { return }
    isDone = true
    timeout?.cancel()
    if let error { done.fail(error) } else { done.succeed() }
    context.close(promise: nil)
  }
}
