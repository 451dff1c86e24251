import NIOCore
import NIOHTTP1
import NIOSSL

/// A connection to the server: at rest in the pool, or busy with one flight. Belongs to its event loop; not Sendable.
final class ClientConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let client: BenchClient
  private var flight: Flight?
  private var context: ChannelHandlerContext?
  private var mayBeReused = false
  private var isReused = false

  init(client: BenchClient) { self.client = client }

  var isUsable: Bool { context?.channel.isActive ?? false }

  func carry(_ flight: Flight, isReused: Bool) {
    guard let context else { return client.connectionClosed(under: flight, isReused: isReused, reason: Self.closed) }
    self.flight = flight
    self.isReused = isReused
    mayBeReused = false
    let (head, body) = client.message(for: flight)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    if flight.isTimeToLeave { leave(flight) }
  }

  /// Ends the connection and with it whatever it carries; nothing more is told of that.
  func close() {
    flight = nil
    context?.close(promise: nil)
  }

  /// Of a slow reader: what has come, a little of it.
  func readSome() { context?.read() }

  // MARK: The channel's life

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let now = NIODeadline.now()
    guard let flight else { return close() }
    switch unwrapInboundIn(data) {
    case .head(let head):
      mayBeReused = head.isKeepAlive
      flight.received(head)
    case .body(let bytes):
      flight.received(bytes, at: now)
      if flight.isTimeToLeave { leave(flight) }
    case .end:
      self.flight = nil
      if mayBeReused, !flight.manners.readsSlowly { client.giveBack(self) } else { close() }
      client.finish(flight, flight.ended(at: now))
    }
  }

  private func leave(_ flight: Flight) {
    close()
    client.finish(flight, flight.left(at: .now()))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let flight else { return close() }
    self.flight = nil
    context.close(promise: nil)
    let isHandshake =
      !flight.heardAnything && (error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError)
    if isHandshake {
      client.finish(flight, flight.failed(.connect, "The TLS handshake failed: \(error)", at: .now()))
    } else {
      client.connectionClosed(under: flight, isReused: isReused, reason: Self.reason(error))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    client.forget(self)
    guard let flight else { return }
    self.flight = nil
    client.connectionClosed(under: flight, isReused: isReused, reason: Self.closed)
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case HTTPParserError.invalidEOFState: closed
    case let error as IOError: "The connection broke: \(error)."
    default: "The answer is no HTTP/1.1: \(error)."
    }
  }

  private static let closed = "The server closed the connection before its answer had ended."
}
