import NIOHTTP1

/// Why a message was refused before anyone saw it. Each case maps to one status and closes the connection.
package enum HTTPProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Breaks RFC 9112 in a way that two parsers could read differently.
  case malformed(String)
  case targetTooLong(limit: Int)
  case headTooLarge(String)
  case bodyTooLarge(limit: Int)
  case unsupportedTransferCoding
  case unsupportedVersion
  case unsupportedExpectation
  /// The client took longer than the limit to send `what`.
  case timedOut(String)

  package var status: HTTPResponseStatus {
    switch self {
    case .malformed: .badRequest
    case .targetTooLong: .uriTooLong
    case .headTooLarge: .requestHeaderFieldsTooLarge
    case .bodyTooLarge: .payloadTooLarge
    case .unsupportedTransferCoding: .notImplemented
    case .unsupportedVersion: .httpVersionNotSupported
    case .unsupportedExpectation: .expectationFailed
    case .timedOut: .requestTimeout
    }
  }

  /// Holds no byte of the peer's, so that it can be put into JSON and a log as it is.
  package var description: String {
    switch self {
    case .malformed(let what): "The message is not valid HTTP/1.1: \(what)."
    case .targetTooLong(let limit): "The request target is longer than \(limit) bytes."
    case .headTooLarge(let what): "The head is too large: \(what)."
    case .bodyTooLarge(let limit): "The body is larger than the limit of \(limit) bytes."
    case .unsupportedTransferCoding: "The only transfer coding that is understood is chunked."
    case .unsupportedVersion: "Only HTTP/1.1 and HTTP/1.0 are understood."
    case .unsupportedExpectation: "The only expectation that is understood is 100-continue."
    case .timedOut(let what): "The client took too long to send \(what)."
    }
  }
}
