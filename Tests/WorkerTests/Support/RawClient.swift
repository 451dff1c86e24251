import NIOCore
import NIOPosix

/// One TCP connection that says and hears bytes: what a client sends is what the test wrote, framing included.
final class RawClient: Sendable {
  private let channel: any Channel
  private let incoming: AsyncThrowingStream<ByteBuffer, any Error>

  private init(channel: any Channel, incoming: AsyncThrowingStream<ByteBuffer, any Error>) {
    self.channel = channel
    self.incoming = incoming
  }

  static func connect(port: Int) async throws -> RawClient {
    let (stream, continuation) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Collector(continuation))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return RawClient(channel: channel, incoming: stream)
  }

  func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

  func close() async { try? await channel.close().get() }

  /// Reads until `isWhole` says so or the peer closes.
  func read(until isWhole: ([UInt8]) -> Bool) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    for try await buffer in incoming {
      bytes += Array(buffer.readableBytesView)
      if isWhole(bytes) { break }
    }
    return bytes
  }

  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation

    init(_ continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { continuation.finish(throwing: error) }
  }
}
