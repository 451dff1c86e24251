import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// Which header fields pass the proxy in either direction.
enum ForwardedHeaders {
  /// RFC 9110 §7.6.1; `connection` may name more.
  private static let hopByHop: Set<String> = [
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
  ]
  /// Ours to say: the body is framed anew, may not come back compressed (we look at it), and carries our request id.
  /// Whom a browser may show an answer to is the proxy's matter: a worker is not told of the origin.
  private static let replacedInRequest: Set<String> = [
    "host", "content-length", "expect", "accept-encoding", "x-request-id", "origin", RequestSight.headerName,
  ]
  private static let replacedInResponse: Set<String> = ["content-length", "x-request-id"]

  /// The lines of a request's head after the request line, without host and length, which differ between its legs.
  static func requestLines(_ headers: HTTPHeaders, requestID: String, workerKey: String?) -> ByteBuffer {
    var lines = ByteBufferAllocator().buffer(capacity: 512)
    let named = namedInConnection(headers)
    for (name, value) in headers {
      let lowercased = name.lowercased()
      if hopByHop.contains(lowercased) || replacedInRequest.contains(lowercased) || named.contains(lowercased) {
        continue
      }
      if lowercased == "authorization", workerKey != nil { continue }
      lines.writeField(name, value)
    }
    if let workerKey { lines.writeField("authorization", "Bearer \(workerKey)") }
    lines.writeField("x-request-id", requestID)
    return lines
  }

  /// - Parameter timing: The request's timeline, if the client asked for it.
  static func response(_ headers: HTTPHeaders, requestID: String, timing: String? = nil) -> HTTPHeaders {
    let named = namedInConnection(headers)
    var kept: [(String, String)] = []
    for (name, value) in headers {
      let lowercased = name.lowercased()
      if hopByHop.contains(lowercased) || replacedInResponse.contains(lowercased) || named.contains(lowercased) {
        continue
      }
      kept.append((name, value))
    }
    kept.append(("x-request-id", requestID))
    if let timing { kept.append((RequestSight.headerName, timing)) }
    return HTTPHeaders(kept)
  }

  /// The client's id if it can be passed on as it is, else a new one.
  static func requestID(_ headers: HTTPHeaders, else new: @autoclosure () -> String) -> String {
    if let given = headers.first(name: HeaderNames.requestID), (1...128).contains(given.utf8.count),
      given.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    {
      return given
    }
    return new()
  }

  private static func namedInConnection(_ headers: HTTPHeaders) -> [String] {
    headers[canonicalForm: "connection"].map { $0.lowercased() }.filter { $0 != "close" && $0 != "keep-alive" }
  }
}

extension ByteBuffer {
  fileprivate mutating func writeField(_ name: String, _ value: String) {
    writeString(name)
    writeStaticString(": ")
    writeString(value)
    writeStaticString("\r\n")
  }
}
