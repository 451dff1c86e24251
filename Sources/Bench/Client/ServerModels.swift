import NIOCore
import NIOHTTP1
import NIOPosix
import ServingAPI

/// Asks the server which models it serves.
///
/// - Parameter target: Its model and endpoint do not matter.
/// - Returns: The ids of `GET /v1/models`, in its order.
/// - Throws: `BenchError.noModels` if there is no such answer within ten seconds.
package func servedModels(_ target: Target) async throws -> [String] {
  let dialer = try Dialer(target)
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let eventLoop = group.next()
  let answer = eventLoop.makePromise(of: ByteBuffer.self)
  eventLoop.execute {
    eventLoop.scheduleTask(in: .seconds(10)) {
      answer.fail(BenchError.noModels(target.base.description, reason: "no answer in 10 s"))
    }
    dialer.dial(ModelsQuestion(target, answer), on: eventLoop, readsSlowly: false) { failure in
      if let failure { answer.fail(BenchError.noModels(target.base.description, reason: failure)) }
    }
  }
  let result: Result<ByteBuffer, any Error>
  do { result = .success(try await answer.futureResult.get()) } catch { result = .failure(error) }
  try? await group.shutdownGracefully()
  let bytes = try result.get()
  let ids = (try? BodyParser.parse(Array(bytes.readableBytesView)))?["data"]?.arrayValue?.compactMap {
    $0["id"]?.stringValue
  }
  guard let ids, !ids.isEmpty else {
    throw BenchError.noModels(target.base.description, reason: String(String(buffer: bytes).prefix(200)))
  }
  return ids
}

/// Asks once when its channel is active and collects the answer. Belongs to its event loop; not Sendable.
private final class ModelsQuestion: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private static let mostBytes = 1024 * 1024
  private let target: Target
  private let answer: EventLoopPromise<ByteBuffer>
  private var body = ByteBuffer()

  init(_ target: Target, _ answer: EventLoopPromise<ByteBuffer>) {
    self.target = target
    self.answer = answer
  }

  func channelActive(context: ChannelHandlerContext) {
    var headers = HTTPHeaders([("host", target.base.authority), ("connection", "close")])
    for field in target.headers { headers.replaceOrAdd(name: field.name, value: field.value) }
    let head = HTTPRequestHead(
      version: .http1_1, method: .GET, uri: target.base.prefix + "/v1/models", headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head: break
    case .body(var bytes):
      body.writeBuffer(&bytes)
      if body.readableBytes > Self.mostBytes { context.close(promise: nil) }
    case .end: answer.succeed(body)
    }
  }

  func channelInactive(context: ChannelHandlerContext) { fail("the connection was closed") }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail("\(error)")
    context.close(promise: nil)
  }

  private func fail(_ reason: String) {
    answer.fail(BenchError.noModels(target.base.description, reason: reason))
  }
}
