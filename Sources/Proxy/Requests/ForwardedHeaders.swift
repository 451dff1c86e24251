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
  private static let droppedFromRequest = FieldNames(hopByHop.union(replacedInRequest))
  private static let droppedFromResponse = FieldNames(hopByHop.union(replacedInResponse))

  /// The lines of a request's head after the request line, without host and length, which differ between its legs.
  ///
  /// - Parameter isTraced: Each leg then has a `traceparent` of its own.
  static func requestLines(
    _ headers: HTTPHeaders, requestID: String, workerKey: String?, isTraced: Bool
  ) -> ByteBuffer {
    var lines = ByteBufferAllocator().buffer(capacity: 512)
    let named = namedInConnection(headers)
    for (name, value) in headers {
      if droppedFromRequest.contains(name) || named.contains(name) { continue }
      if isTraced, name.lowercased() == RequestSight.traceHeaderName { continue }
      if workerKey != nil, ["authorization", "x-api-key"].contains(name.lowercased()) { continue }
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
    for (name, value) in headers where !droppedFromResponse.contains(name) && !named.contains(name) {
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

  private static func namedInConnection(_ headers: HTTPHeaders) -> FieldNames {
    guard headers.contains(name: "connection") else { return .none }
    let named = headers[canonicalForm: "connection"].map { $0.lowercased() }
    return FieldNames(Set(named.filter { $0 != "close" && $0 != "keep-alive" }))
  }
}

/// A set of field names, whatever their case. Most names are told by their length to be none of it.
private struct FieldNames {
  static let none = FieldNames([])
  private let names: Set<String>
  /// Bit n: a name has n bytes, or n and a multiple of 64.
  private let lengths: UInt64

  /// - Parameter names: In lower case.
  init(_ names: Set<String>) {
    self.names = names
    lengths = names.reduce(0) { $0 | 1 << UInt64($1.utf8.count % 64) }
  }

  func contains(_ name: String) -> Bool {
    lengths >> UInt64(name.utf8.count % 64) & 1 == 1 && names.contains(name.lowercased())
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
