import HTTPServer
import NIOCore
import NIOPosix

/// A ZeroMQ PULL socket that others connect to: hands on each message that comes, from whomever.
final class ZMTPListener: Sendable {
  static let mostConnections = 256
  private let listener: any Channel
  /// The one that the system chose if 0 was asked for.
  let port: Int

  private init(_ listener: any Channel, port: Int) {
    self.listener = listener
    self.port = port
  }

  /// - Parameter received: Called on the event loop.
  /// - Throws: `HTTPServerError` if the address cannot be listened on.
  static func start(
    host: String, port: Int, on eventLoop: any EventLoop, received: @escaping @Sendable (ByteBuffer) -> Void
  ) async throws -> ZMTPListener {
    let open = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: eventLoop)
    let bootstrap = ServerBootstrap(group: eventLoop)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard open.value < mostConnections else { throw ChannelError.operationUnsupported }
          try channel.pipeline.syncOperations.addHandler(ZMTPConnection(open: open, received: received))
        }
      }
    do {
      let listener = try await bootstrap.bind(host: host == "localhost" ? "127.0.0.1" : host, port: port).get()
      return ZMTPListener(listener, port: listener.localAddress?.port ?? port)
    } catch {
      throw HTTPServerError.cannotListen(host: host, port: port, reason: "\(error)")
    }
  }

  /// Connections end with their event loop.
  func stop() { listener.close(promise: nil) }
}

/// Lives on its event loop; not Sendable.
private final class ZMTPConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  private static let handshakeTime = TimeAmount.seconds(10)
  /// How many connections there are.
  private let open: NIOLoopBoundBox<Int>
  private let received: @Sendable (ByteBuffer) -> Void
  private var receiver = ZMTPReceiver()
  private var deadline: Scheduled<Void>?

  init(open: NIOLoopBoundBox<Int>, received: @escaping @Sendable (ByteBuffer) -> Void) {
    self.open = open
    self.received = received
  }

  func handlerAdded(context: ChannelHandlerContext) {
    open.value += 1
    let channel = context.channel
    deadline = context.eventLoop.scheduleTask(in: Self.handshakeTime) { channel.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    open.value -= 1
    deadline?.cancel()
  }

  func channelActive(context: ChannelHandlerContext) {
    context.writeAndFlush(wrapOutboundOut(ZMTPReceiver.greeting), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do throws(ZMTPReceiver.Failure) {
      for event in try receiver.take(unwrapInboundIn(data)) {
        switch event {
        case .send(let bytes): context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        case .message(let message): received(message)
        }
      }
      if receiver.isConnected { deadline?.cancel() }
    } catch {
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
