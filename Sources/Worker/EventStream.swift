import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI
import Synchronization

/// A response of server-sent events. Its head goes out with the first frame, so that whatever fails before that is
/// still answered with a status. Any of a request's choices may send; a `Mutex` guards whether the head has gone.
final class EventStream: Sendable {
  private let writer: HTTPResponseWriter
  private let headers: HTTPHeaders
  private let isStarted = Mutex(false)

  init(writer: HTTPResponseWriter, headers: HTTPHeaders) {
    self.writer = writer
    var headers = headers
    headers.add(name: "content-type", value: MediaTypes.eventStream)
    headers.add(name: "cache-control", value: "no-cache")
    self.headers = headers
  }

  var hasStarted: Bool { isStarted.withLock { $0 } }

  /// Returns when the client has room for more.
  /// - Throws: `HTTPClientGone`.
  func send(_ events: [ServerSentEvent]) async throws {
    start()
    try await writer.writeAndWait(ByteBuffer(bytes: events.flatMap(\.frame)))
  }

  /// - Parameter events: The last ones.
  func finish(_ events: [ServerSentEvent]) {
    start()
    if !events.isEmpty { writer.write(ByteBuffer(bytes: events.flatMap(\.frame))) }
    writer.end()
  }

  private func start() {
    isStarted.withLock { isStarted in
      if !isStarted { writer.start(.ok, headers: headers) }
      isStarted = true
    }
  }
}
