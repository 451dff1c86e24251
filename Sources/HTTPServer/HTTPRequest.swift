import NIOCore
import NIOHTTP1

/// One whole request, checked: what is in it can be sent on as it is.
package struct HTTPRequest: Sendable {
  package var method: HTTPMethod
  /// Without the query; begins with `/` (or is `*` for OPTIONS).
  package var path: String
  /// What follows `?`.
  package var query: String?
  package var version: HTTPVersion
  package var headers: HTTPHeaders
  package var body: ByteBuffer
  /// When the server read the request's first byte.
  package var received: NIODeadline
  /// Whether the client and the request allow another request on this connection.
  package var keepAlive: Bool

  package init(
    method: HTTPMethod, path: String, query: String? = nil, version: HTTPVersion = .http1_1,
    headers: HTTPHeaders = [:], body: ByteBuffer = ByteBuffer(), received: NIODeadline = .now(), keepAlive: Bool = true
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.version = version
    self.headers = headers
    self.body = body
    self.received = received
    self.keepAlive = keepAlive
  }
}

/// Answers requests.
package protocol HTTPResponder: Sendable {
  /// Called on the connection's event loop, one request at a time per connection, in order. Must not block; may keep
  /// `writer` and answer later from any thread. Exactly one response must be given, or the connection waits for ever.
  func respond(to request: HTTPRequest, writer: HTTPResponseWriter)
}
