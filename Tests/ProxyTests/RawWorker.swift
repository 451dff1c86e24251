import HTTPTestSupport
import NIOCore
import NIOPosix
import Synchronization

/// A worker that answers any request with given bytes, and closes the connection: with its answer, or, to lose the race
/// of an idle connection's end, without a word when the next request comes.
final class RawWorker: Sendable {
  enum Close: Sendable { case withAnswer, onNextRequest }

  let requestsUnanswered = Log<Void>()
  fileprivate let close: Close
  private let bytes = Mutex<[UInt8]>([])
  private let listener = Mutex<(any Channel)?>(nil)

  init(closes close: Close = .withAnswer) { self.close = close }

  func start() async throws -> Int {
    let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Answerer(worker: self)) }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    listener.withLock { $0 = channel }
    return channel.localAddress?.port ?? 0
  }

  func stop() async { try? await listener.withLock { $0 }?.close().get() }

  func answer(with bytes: [UInt8]) { self.bytes.withLock { $0 = bytes } }

  fileprivate var answer: [UInt8] { bytes.withLock { $0 } }
}

private final class Answerer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  private let worker: RawWorker
  private var request = ""
  private var hasAnswered = false

  init(worker: RawWorker) { self.worker = worker }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if hasAnswered {
      worker.requestsUnanswered.add(())
      return context.close(promise: nil)
    }
    request += String(buffer: unwrapInboundIn(data))
    guard request.hasSuffix("}") || (request.hasPrefix("GET") && request.hasSuffix("\r\n\r\n")) else { return }
    hasAnswered = true
    let sent = context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: worker.answer)))
    guard worker.close == .withAnswer else { return }
    sent.assumeIsolatedUnsafeUnchecked().whenComplete { _ in context.close(promise: nil) }
  }
}
