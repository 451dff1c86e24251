import NIOCore
import NIOPosix
import Synchronization

/// A TCP client that sends any bytes and waits for what comes back. A wait ends after ten seconds at the latest.
package final class RawClient: Sendable {
  private struct State {
    var bytes: [UInt8] = []
    var isClosed = false
    var waiter: (isDone: (@Sendable (String) -> Bool)?, continuation: CheckedContinuation<Void, Never>)?
  }

  private let state = Mutex(State())
  private let channel: any Channel

  private init(channel: any Channel) { self.channel = channel }

  package static func connect(_ port: Int, receiveBuffer: Int? = nil) async throws -> RawClient {
    var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    if let receiveBuffer {
      bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
        .channelOption(.autoRead, value: false)
    }
    let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
    let client = RawClient(channel: channel)
    try await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.addHandler(Collector(client: client))
    }.get()
    return client
  }

  package func send(_ bytes: some Sequence<UInt8>) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

  package func send(_ text: String) { send(text.utf8) }

  package func startReading() { channel.setOption(.autoRead, value: true).whenComplete { _ in } }

  package func close() { channel.close(promise: nil) }

  package var text: String { String(decoding: state.withLock { $0.bytes }, as: UTF8.self) }

  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Everything received so far, once `isDone` says so or the peer has closed.
  package func receive(until isDone: (@Sendable (String) -> Bool)?) async -> String {
    let timeout = channel.eventLoop.scheduleTask(in: .seconds(10)) { self.wake(force: true) }
    await withCheckedContinuation { continuation in
      state.withLock { $0.waiter = (isDone, continuation) }
      wake(force: false)
    }
    timeout.cancel()
    return text
  }

  package func receiveAll() async -> String { await receive(until: nil) }

  private func wake(force: Bool) {
    let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard let waiter = state.waiter else { return nil }
      let isDone = waiter.isDone?(String(decoding: state.bytes, as: UTF8.self)) ?? false
      guard force || state.isClosed || isDone else { return nil }
      state.waiter = nil
      return waiter.continuation
    }
    continuation?.resume()
  }

  fileprivate func received(_ bytes: ByteBuffer) {
    state.withLock { $0.bytes.append(contentsOf: bytes.readableBytesView) }
    wake(force: false)
  }

  fileprivate func closed() {
    state.withLock { $0.isClosed = true }
    wake(force: false)
  }
}

// SAFETY: stateless but for the Sendable client.
private final class Collector: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer
  private let client: RawClient

  init(client: RawClient) { self.client = client }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { client.received(unwrapInboundIn(data)) }

  func channelInactive(context: ChannelHandlerContext) { client.closed() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
