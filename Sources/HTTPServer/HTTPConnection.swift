import NIOCore
import NIOHTTP1

/// One client's connection: bytes in, requests to the responder one after the other, bytes out.
/// Lives on its event loop; not Sendable.
final class HTTPConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum State {
    /// Waits for a request, or for the rest of one.
    case reading
    case responding(HTTPResponseWriter)
    /// The last response has gone; what the client still sends is dropped until it closes, so that the response is
    /// not lost to a reset.
    case lingering
    case closed
  }

  private let limits: HTTPLimits
  private let responder: any HTTPResponder
  private var parser: HTTPRequestParser
  private var state = State.reading
  private var inbox = ByteBuffer()
  private var outbox = ByteBuffer()
  private var flushIsScheduled = false
  private var isAdvancing = false
  private var isReadingPaused = false
  private(set) var isDraining = false
  private var context: ChannelHandlerContext?
  private var timer: DeadlineTimer?
  private var stallTimer: DeadlineTimer?

  init(limits: HTTPLimits, responder: any HTTPResponder) {
    self.limits = limits
    self.responder = responder
    self.parser = HTTPRequestParser(limits: limits)
  }

  // MARK: The channel's life

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    timer = DeadlineTimer(eventLoop: context.eventLoop) { [unowned self] in deadlinePassed() }
    stallTimer = DeadlineTimer(eventLoop: context.eventLoop) { [unowned self] in close() }
    timer?.set(.now() + limits.idleTime)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    if case .lingering = state { return }
    if inbox.readableBytes == 0 {
      inbox = bytes
    } else {
      if inbox.readerIndex > limits.headBytes { inbox.discardReadBytes() }
      inbox.writeBuffer(&bytes)
    }
    advance()
    if inbox.readableBytes == 0 { inbox = ByteBuffer() }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    flush()
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable {
      stallTimer?.clear()
      if case .responding(let writer) = state { writer.becameWritable() }
    } else {
      stallTimer?.set(.now() + limits.stallTime)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard event is DrainEvent else { return context.fireUserInboundEventTriggered(event) }
    isDraining = true
    if case .reading = state, parser.phase == .idle { close() }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelInactive(context: ChannelHandlerContext) {
    let last = state
    state = .closed
    timer?.cancel()
    stallTimer?.cancel()
    self.context = nil
    if case .responding(let writer) = last { writer.clientWentAway() }
    context.fireChannelInactive()
  }

  /// Also of a channel that was closed before it became active, and so never becomes inactive.
  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    timer?.cancel()
    stallTimer?.cancel()
  }

  // MARK: Requests

  private func advance() {
    guard !isAdvancing else { return }
    isAdvancing = true
    defer { isAdvancing = false }
    while case .reading = state, let context {
      do throws(HTTPProtocolError) {
        switch try parser.next(&inbox, now: .now()) {
        case .request(let request): begin(request, context)
        case .awaitsContinue:
          append { out in out.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n") }
          flush()
          setReadDeadline()
          return
        case nil:
          setReadDeadline()
          return
        }
      } catch {
        refuse(error)
      }
    }
    // A client that sends on while its request is worked on may fill a bounded buffer, then the socket's.
    if case .responding = state, inbox.readableBytes > limits.headBytes { pauseReading(true) }
  }

  private func begin(_ request: HTTPRequest, _ context: ChannelHandlerContext) {
    timer?.clear()
    readPhase = .idle
    let writer = HTTPResponseWriter(connection: self, request: request, eventLoop: context.eventLoop)
    state = .responding(writer)
    responder.respond(to: request, writer: writer)
  }

  private var readPhase = HTTPRequestParser.Phase.idle

  /// A phase's deadline counts from its start, so that a byte now and then does not move it.
  private func setReadDeadline() {
    let phase = parser.phase
    guard phase != readPhase || phase == .idle else { return }
    readPhase = phase
    switch phase {
    case .idle: timer?.set(.now() + limits.idleTime)
    case .head: timer?.set(.now() + limits.headTime)
    case .body: timer?.set(.now() + limits.bodyTime)
    }
  }

  private func deadlinePassed() {
    guard case .reading = state else { return close() }
    switch parser.phase {
    case .idle: close()
    case .head: refuse(.timedOut("the request's head"))
    case .body: refuse(.timedOut("the request's body"))
    }
  }

  private func refuse(_ error: HTTPProtocolError) {
    let type = error.status.code < 500 ? "invalid_request_error" : "server_error"
    let body =
      #"{"error":{"message":"\#(error)","type":"\#(type)","param":null,"code":\#(error.status.code)}}"#
    append { out in
      out.writeResponseHead(
        error.status, ["content-type": "application/json", "content-length": String(body.utf8.count)])
      out.writeStaticString("connection: close\r\n\r\n")
      out.writeString(body)
    }
    linger()
  }

  // MARK: Responses

  /// As a log names it.
  private(set) lazy var client: String = {
    guard let address = context?.remoteAddress, let host = address.ipAddress else { return "-" }
    return "\(host):\(address.port ?? 0)"
  }()

  var isWritable: Bool { context?.channel.isWritable ?? true }

  /// What is appended leaves with the next `flush`.
  func append(_ write: (inout ByteBuffer) -> Void) {
    guard context != nil else { return }
    if outbox.capacity == 0 { outbox.reserveCapacity(512) }
    write(&outbox)
  }

  func append(_ bytes: ByteBuffer) {
    guard let context else { return }
    if bytes.readableBytes <= 16 * 1024 {
      outbox.writeImmutableBuffer(bytes)
    } else {
      moveOutbox(context)
      context.write(wrapOutboundOut(bytes), promise: nil)
    }
  }

  /// - Parameter bytes: Not empty.
  func append(chunk bytes: ByteBuffer) {
    if outbox.writableBytes < bytes.readableBytes + Self.chunkOverhead {
      outbox.reserveCapacity(minimumWritableBytes: min(bytes.readableBytes, 16 * 1024) + Self.chunkOverhead)
    }
    outbox.writeHexadecimal(bytes.readableBytes)
    outbox.writeStaticString("\r\n")
    append(bytes)
    outbox.writeStaticString("\r\n")
  }

  /// Called by the writer when its response is whole.
  func responseEnded(keepAlive: Bool) {
    guard case .responding = state else { return }
    guard keepAlive, !isDraining else { return linger() }
    state = .reading
    pauseReading(false)
    if !isAdvancing { advance() }
  }

  func close() { context?.close(promise: nil) }

  private func linger() {
    state = .lingering
    inbox.clear()
    flush()
    pauseReading(false)
    guard let context else { return }
    // The bytes that wait may be too few to make the channel unwritable: the stall timer does not watch them.
    timer?.set(.now() + limits.stallTime)
    let sent = context.eventLoop.makePromise(of: Void.self)
    sent.futureResult.assumeIsolatedUnsafeUnchecked().whenComplete { _ in
      guard case .lingering = self.state else { return }
      self.timer?.set(.now() + self.limits.lingerTime)
    }
    context.close(mode: .output, promise: sent)
  }

  private func pauseReading(_ pause: Bool) {
    guard pause != isReadingPaused, let context else { return }
    isReadingPaused = pause
    context.channel.setOption(.autoRead, value: !pause).whenFailure { _ in }
  }

  /// Writes of one turn of the event loop leave together.
  func scheduleFlush() {
    guard !flushIsScheduled, let context else { return }
    flushIsScheduled = true
    context.eventLoop.assumeIsolatedUnsafeUnchecked().execute { self.flush() }
  }

  func flush() {
    flushIsScheduled = false
    guard let context else { return }
    moveOutbox(context)
    context.flush()
  }

  private func moveOutbox(_ context: ChannelHandlerContext) {
    guard outbox.readableBytes > 0 else { return }
    context.write(wrapOutboundOut(outbox), promise: nil)
    outbox = ByteBuffer()
  }

  /// A size of at most 15 digits, and two line ends.
  private static let chunkOverhead = 20
}

extension ByteBuffer {
  /// - Parameter number: Not negative.
  fileprivate mutating func writeHexadecimal(_ number: Int) {
    // At most 15 digits, which a String holds without an allocation.
    writeString(String(number, radix: 16))
  }
}

/// Tells a connection to finish its request and close.
struct DrainEvent: Sendable {}
