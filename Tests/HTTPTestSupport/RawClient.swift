import NIOCore
import NIOPosix
import Synchronization

/// A TCP client that sends any bytes and waits for what comes back. A wait ends after a minute at the latest.
package final class RawClient: Sendable {
  private let inbox: Inbox
  private let channel: any Channel

  private init(inbox: Inbox, channel: any Channel) {
    self.inbox = inbox
    self.channel = channel
  }

  /// - Parameter prepare: Puts handlers between the client and the wire.
  package static func connect(
    _ port: Int, receiveBuffer: Int? = nil, prepare: @escaping @Sendable (any Channel) throws -> Void = { _ in }
  ) async throws -> RawClient {
    let inbox = Inbox()
    var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try prepare(channel)
          try channel.pipeline.syncOperations.addHandler(inbox)
        }
      }
    if let receiveBuffer {
      bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
        .channelOption(.autoRead, value: false)
    }
    return RawClient(inbox: inbox, channel: try await bootstrap.connect(host: "127.0.0.1", port: port).get())
  }

  package func send(_ bytes: some Sequence<UInt8>) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

  package func send(_ text: String) { send(text.utf8) }

  package func startReading() { channel.setOption(.autoRead, value: true).whenComplete { _ in } }

  package func close() { channel.close(promise: nil) }

  package var text: String { inbox.text }

  package var isClosed: Bool { inbox.isClosed }

  /// Everything received so far, once `isDone` says so or the peer has closed.
  package func receive(until isDone: (@Sendable (String) -> Bool)?) async -> String {
    let timeout = channel.eventLoop.scheduleTask(in: .seconds(60)) { [inbox] in inbox.wake(force: true) }
    await inbox.wait(until: isDone)
    timeout.cancel()
    return text
  }

  package func receiveAll() async -> String { await receive(until: nil) }
}

/// What has come, and who waits for more. A `Mutex` guards it.
private final class Inbox: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  private struct State {
    var bytes: [UInt8] = []
    var isClosed = false
    var waiter: (isDone: (@Sendable (String) -> Bool)?, continuation: CheckedContinuation<Void, Never>)?
  }

  private let state = Mutex(State())

  var text: String { String(decoding: state.withLock { $0.bytes }, as: UTF8.self) }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  func wait(until isDone: (@Sendable (String) -> Bool)?) async {
    await withCheckedContinuation { continuation in
      state.withLock { $0.waiter = (isDone, continuation) }
      wake(force: false)
    }
  }

  func wake(force: Bool) {
    let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard let waiter = state.waiter else { return nil }
      let isDone = waiter.isDone?(String(decoding: state.bytes, as: UTF8.self)) ?? false
      guard force || state.isClosed || isDone else { return nil }
      state.waiter = nil
      return waiter.continuation
    }
    continuation?.resume()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    state.withLock { $0.bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView) }
    wake(force: false)
  }

  func channelInactive(context: ChannelHandlerContext) {
    state.withLock { $0.isClosed = true }
    wake(force: false)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
