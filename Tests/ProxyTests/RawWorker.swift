import NIOCore
import NIOPosix
import Synchronization

/// A worker that answers any request with given bytes, and closes the connection.
final class RawWorker: Sendable {
  private let bytes = Mutex<[UInt8]>([])
  private let listener = Mutex<(any Channel)?>(nil)

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

  init(worker: RawWorker) { self.worker = worker }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = ByteBuffer(bytes: worker.answer)
    context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolatedUnsafeUnchecked().whenComplete { _ in
      context.close(promise: nil)
    }
  }
}
