import NIOCore
import NIOHTTP1

/// The one response to one request. Any method may be called from any thread; calls take effect in order on
/// `eventLoop`, at once if already there. After the client has gone all of them do nothing.
///
/// Order: `send` alone, or `start`, any number of `write`, `end`; before either, `inform`. `abort` at any time.
// SAFETY: every stored `var` is read and written on `eventLoop` only; the other methods hop there first.
package final class HTTPResponseWriter: @unchecked Sendable {
  private enum Framing {
    case chunked
    case length(remaining: Int)
    case untilClose
    /// HEAD, 204, 304: the head says it all.
    case noBody
  }

  private enum State {
    case awaitingHead
    case streaming(Framing)
    case done
    case gone
  }

  package let eventLoop: any EventLoop
  private let version: HTTPVersion
  private let isHead: Bool
  private var keepAlive: Bool
  private var connection: HTTPConnection?
  private var state = State.awaitingHead
  private var goneHandlers: [@Sendable () -> Void] = []
  private var endHandler: ((Summary) -> Void)?
  private var fields: HTTPHeaders = [:]
  private var summary = Summary()
  private var writableHandler: (@Sendable () -> Void)?
  private var writableWaiters: [CheckedContinuation<Void, any Error>] = []

  /// What became of a response.
  package struct Summary: Sendable, Equatable {
    /// nil if the client left before there was a response.
    package fileprivate(set) var status: Int?
    /// Of the body.
    package fileprivate(set) var bytes = 0
    /// Whether all of it was handed to the system.
    package fileprivate(set) var isWhole = false

    package init(status: Int? = nil, bytes: Int = 0, isWhole: Bool = false) {
      self.status = status
      self.bytes = bytes
      self.isWhole = isWhole
    }
  }

  init(connection: HTTPConnection, request: HTTPRequest, eventLoop: any EventLoop) {
    self.connection = connection
    self.eventLoop = eventLoop
    self.version = request.version
    self.isHead = request.method == .HEAD
    self.keepAlive = request.keepAlive
  }

  // MARK: From any thread

  /// A whole response; Content-Length is added.
  package func send(_ status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: ByteBuffer = ByteBuffer()) {
    onLoop { $0.sendOnLoop(status, headers, body) }
  }

  /// The head of a response whose body follows in `write`s. Framed by `headers`' Content-Length if there is one, else
  /// chunked (HTTP/1.1) or until the connection closes (HTTP/1.0). Transfer-Encoding and Connection are the server's.
  package func start(_ status: HTTPResponseStatus, headers: HTTPHeaders = [:]) {
    onLoop { $0.startOnLoop(status, headers) }
  }

  /// An interim response (103), for a client that has asked for it. HTTP/1.0 has none.
  package func inform(_ headers: HTTPHeaders) { onLoop { $0.informOnLoop(headers) } }

  package func write(_ bytes: ByteBuffer) {
    // Without a closure's allocation where a stream's every part comes by.
    if eventLoop.inEventLoop { return writeOnLoop(bytes) }
    eventLoop.execute { self.writeOnLoop(bytes) }
  }

  package func end() { onLoop { $0.endOnLoop() } }

  /// Cuts the connection, so that the client sees a broken response instead of a short one.
  package func abort() { onLoop { $0.connection?.close() } }

  /// `body` runs once on the event loop when the client closes, half-closes or resets the connection before the
  /// response has ended; at once if that has already happened.
  package func onClientGone(_ body: @escaping @Sendable () -> Void) {
    onLoop { writer in
      switch writer.state {
      case .gone: body()
      case .done: break
      case .awaitingHead, .streaming: writer.goneHandlers.append(body)
      }
    }
  }

  /// Writes, then waits while the client reads too slowly. For producers that are tasks.
  ///
  /// - Throws: `HTTPClientGone`.
  package func writeAndWait(_ bytes: ByteBuffer) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      onLoop { writer in
        writer.writeOnLoop(bytes)
        guard case .streaming = writer.state else { return continuation.resume(throwing: HTTPClientGone()) }
        if writer.isWritable { return continuation.resume() }
        writer.writableWaiters.append(continuation)
      }
    }
  }

  private func onLoop(_ body: @escaping @Sendable (HTTPResponseWriter) -> Void) {
    if eventLoop.inEventLoop { return body(self) }
    eventLoop.execute { body(self) }
  }

  // MARK: On the event loop only

  /// What is written waits for `flush` or the response's end, instead of leaving at the end of the event loop's turn.
  package var isFlushedByOwner = false

  package func flush() { connection?.flush() }

  /// `body` runs once, after the response's last byte or the client's leaving; at once if that has already happened.
  /// One handler; the last set stays.
  package func onEnd(_ body: @escaping (Summary) -> Void) {
    switch state {
    case .awaitingHead, .streaming: endHandler = body
    case .done, .gone: body(summary)
    }
  }

  /// Fields for whatever response there will be; they stand in place of a response's own of the same name.
  package func add(fields: HTTPHeaders) { self.fields.add(contentsOf: fields) }

  /// Address and port of the client, as `127.0.0.1:50000`; made once for each connection.
  package var client: String { connection?.client ?? "-" }

  /// Whether the send buffer is below its high-water mark.
  package var isWritable: Bool { connection?.isWritable ?? true }

  /// `body` runs each time the send buffer has drained. One handler; the last set stays.
  package func onWritable(_ body: @escaping @Sendable () -> Void) { writableHandler = body }

  func becameWritable() {
    let waiters = writableWaiters
    writableWaiters = []
    for waiter in waiters { waiter.resume() }
    writableHandler?()
  }

  func clientWentAway() {
    guard connection != nil else { return }
    connection = nil
    state = .gone
    let handlers = goneHandlers
    let waiters = writableWaiters
    let ended = endHandler
    release()
    for waiter in waiters { waiter.resume(throwing: HTTPClientGone()) }
    for handler in handlers { handler() }
    ended?(summary)
  }

  private func sendOnLoop(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ body: ByteBuffer) {
    var headers = headers
    headers.replaceOrAdd(name: "content-length", value: String(body.readableBytes))
    startOnLoop(status, headers)
    writeOnLoop(body)
    endOnLoop()
  }

  private func informOnLoop(_ headers: HTTPHeaders) {
    guard case .awaitingHead = state, version == .http1_1, let connection else { return }
    connection.append { out in
      out.writeResponseHead(.custom(code: 103, reasonPhrase: "Early Hints"), headers)
      out.writeStaticString("\r\n")
    }
    connection.scheduleFlush()
  }

  private func startOnLoop(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
    guard case .awaitingHead = state, let connection else { return }
    let hasBody = !isHead && status.mayHaveResponseBody
    let length = headers.first(name: "content-length").flatMap { Int($0) }
    let framing: Framing
    if !hasBody {
      framing = .noBody
    } else if let length {
      framing = .length(remaining: length)
    } else if version == .http1_1 {
      framing = .chunked
    } else {
      framing = .untilClose
      keepAlive = false
    }
    if connection.isDraining { keepAlive = false }
    state = .streaming(framing)
    summary.status = Int(status.code)
    var headers = headers
    for (name, value) in fields { headers.replaceOrAdd(name: name, value: value) }
    connection.append { out in
      out.writeResponseHead(status, headers)
      if case .chunked = framing { out.writeStaticString("transfer-encoding: chunked\r\n") }
      if !keepAlive {
        out.writeStaticString("connection: close\r\n")
      } else if version == .http1_0 {
        out.writeStaticString("connection: keep-alive\r\n")
      }
      out.writeStaticString("\r\n")
    }
    if !isFlushedByOwner { connection.scheduleFlush() }
  }

  private func writeOnLoop(_ bytes: ByteBuffer) {
    guard case .streaming(let framing) = state, let connection, bytes.readableBytes > 0 else { return }
    summary.bytes += bytes.readableBytes
    switch framing {
    case .noBody: break
    case .untilClose: connection.append(bytes)
    case .length(let remaining):
      // More than was promised would be read as the next response.
      guard bytes.readableBytes <= remaining else { return connection.close() }
      state = .streaming(.length(remaining: remaining - bytes.readableBytes))
      connection.append(bytes)
    case .chunked: connection.append(chunk: bytes)
    }
    if !isFlushedByOwner { connection.scheduleFlush() }
  }

  private func endOnLoop() {
    guard case .streaming(let framing) = state, let connection else { return }
    switch framing {
    case .length(let remaining) where remaining > 0: return connection.close()
    case .chunked: connection.append { out in out.writeStaticString("0\r\n\r\n") }
    case .length, .noBody, .untilClose: break
    }
    state = .done
    summary.isWhole = true
    self.connection = nil
    let ended = endHandler
    release()
    if isFlushedByOwner { connection.flush() } else { connection.scheduleFlush() }
    ended?(summary)
    connection.responseEnded(keepAlive: keepAlive)
  }

  private func release() {
    endHandler = nil
    goneHandlers = []
    writableWaiters = []
    writableHandler = nil
  }
}

/// The client left before its response had ended.
package struct HTTPClientGone: Error, CustomStringConvertible {
  package var description: String { "The client closed the connection before its response had ended." }
}

extension ByteBuffer {
  /// Status line and fields without the empty line. Framing fields of `headers` that are the server's are left out, and
  /// a control byte in a value becomes a space, so that no value can begin a new line. `Date` is added if it is missing;
  /// a response that is passed on has its origin's.
  mutating func writeResponseHead(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
    writeStaticString("HTTP/1.1 ")
    writeString(String(status.code))
    writeStaticString(" ")
    writeString(status.reasonPhrase)
    writeStaticString("\r\n")
    var hasDate = false
    for (name, value) in headers {
      switch name.utf8.count {
      case 4 where name.lowercased() == "date": hasDate = true
      case 10 where name.lowercased() == "connection": continue
      case 17 where name.lowercased() == "transfer-encoding": continue
      default: break
      }
      writeString(name)
      writeStaticString(": ")
      if value.utf8.allSatisfy({ $0.isFieldByte }) {
        writeString(value)
      } else {
        writeBytes(value.utf8.map { $0.isFieldByte ? $0 : UInt8(ascii: " ") })
      }
      writeStaticString("\r\n")
    }
    if !hasDate { writeString(HTTPDate.line) }
  }
}
