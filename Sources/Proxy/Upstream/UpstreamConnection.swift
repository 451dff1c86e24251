import HTTPServer
import NIOCore

/// A connection to a worker: idle in the pool or busy with one leg. Belongs to its event loop; not Sendable.
final class UpstreamConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// A smaller body is copied behind its head: that costs less than a second write.
  private static let mostCopied = 16 * 1024
  let worker: Worker
  private let pool: UpstreamPool
  private var leg: UpstreamLeg?
  private var parser = HTTPResponseParser()
  private var inbox = ByteBuffer()
  private var heardNothing = true
  private var isReadingPaused = false
  private var isParsing = false
  private var context: ChannelHandlerContext?
  /// When it was given back.
  var idleSince = NIODeadline.now()

  init(worker: Worker, pool: UpstreamPool) {
    self.worker = worker
    self.pool = pool
  }

  var isUsable: Bool { context?.channel.isActive ?? false }

  func send(_ leg: UpstreamLeg) {
    guard let context else { return leg.connectionClosed(heardNothing: true) }
    self.leg = leg
    parser = HTTPResponseParser()
    heardNothing = true
    var head = leg.head
    if leg.body.readableBytes <= Self.mostCopied {
      head.writeImmutableBuffer(leg.body)
      return context.writeAndFlush(wrapOutboundOut(head), promise: nil)
    }
    context.write(wrapOutboundOut(head), promise: nil)
    context.writeAndFlush(wrapOutboundOut(leg.body), promise: nil)
  }

  func close() {
    leg = nil
    context?.close(promise: nil)
  }

  func pauseReading(_ pause: Bool) {
    guard pause != isReadingPaused, let context else { return }
    isReadingPaused = pause
    try? context.channel.syncOptions?.setOption(.autoRead, value: !pause)
    guard !pause else { return }
    parse()
    leg?.handedOver()
  }

  // MARK: The channel's life

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    // Nothing was asked: whatever this is, the next answer must not begin with it.
    guard leg != nil else { return close() }
    heardNothing = false
    if inbox.readableBytes == 0 {
      inbox = bytes
    } else {
      inbox.discardReadBytes()
      inbox.writeBuffer(&bytes)
    }
    parse()
    // The channel reads into the same memory again if nobody holds it.
    if inbox.readableBytes == 0 { inbox = ByteBuffer() }
  }

  func channelReadComplete(context: ChannelHandlerContext) { leg?.handedOver() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelInactive(context: ChannelHandlerContext) {
    isReadingPaused = false
    parse()
    self.context = nil
    pool.forget(self)
    guard let leg else { return }
    self.leg = nil
    if parser.mayEndByClose {
      leg.received(.end)
    } else {
      leg.connectionClosed(heardNothing: heardNothing)
    }
  }

  /// An event may make the leg's owner cancel it, pause reading or send the next leg over this very connection.
  private func parse() {
    guard !isParsing else { return }
    isParsing = true
    defer { isParsing = false }
    while let leg, !isReadingPaused {
      do throws(HTTPProtocolError) {
        guard let event = try parser.next(&inbox) else { return }
        if case .end = event { release() }
        leg.received(event)
      } catch {
        self.leg = nil
        leg.fail(.malformed(error))
        context?.close(promise: nil)
      }
    }
  }

  private func release() {
    leg = nil
    if parser.keepsConnection, inbox.readableBytes == 0 {
      pool.giveBack(self)
    } else {
      context?.close(promise: nil)
    }
  }
}
