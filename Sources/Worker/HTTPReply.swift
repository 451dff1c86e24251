import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// A whole response, not yet sent.
struct HTTPReply: Sendable {
  var status: HTTPResponseStatus
  var headers: HTTPHeaders = [:]
  var body: [UInt8] = []

  static func json(_ value: BodyValue, status: HTTPResponseStatus = .ok) -> HTTPReply {
    HTTPReply(status: status, headers: ["content-type": MediaTypes.json], body: value.encoded)
  }

  /// - Parameter route: Each API has its own words.
  static func error(_ error: APIError, at route: Route) -> HTTPReply {
    let body = route == .messages ? error.messagesBody : error.body
    var reply = json(body, status: HTTPResponseStatus(statusCode: error.status))
    if let seconds = error.retryAfter { reply.headers.add(name: HeaderNames.retryAfter, value: "\(seconds)") }
    return reply
  }

  static let notFound = json(APIError.detail("Not Found"), status: .notFound)

  static func methodNotAllowed(allow: String) -> HTTPReply {
    var reply = json(APIError.detail("Method Not Allowed"), status: .methodNotAllowed)
    reply.headers.add(name: "allow", value: allow)
    return reply
  }

  static let unauthorized: HTTPReply = {
    var reply = json(["error": "Unauthorized"], status: .unauthorized)
    reply.headers.add(name: "www-authenticate", value: "Bearer")
    return reply
  }()

  /// - Parameter more: headers that every response of this request has.
  func send(to writer: HTTPResponseWriter, headers more: HTTPHeaders) {
    var all = headers
    all.add(contentsOf: more)
    writer.send(status, headers: all, body: ByteBuffer(bytes: body))
  }
}
