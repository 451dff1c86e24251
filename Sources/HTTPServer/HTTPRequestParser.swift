import NIOCore
import NIOHTTP1

/// Takes requests out of a connection's bytes, strictly (RFC 9112): what two parsers could read differently is refused.
/// A value without I/O; one per connection.
package struct HTTPRequestParser {
  package enum Event {
    /// The client waits for `100 Continue` before it sends the body.
    case awaitsContinue
    case request(HTTPRequest)
  }

  enum Phase { case idle, head, body }

  private enum State {
    case head(HTTPHeadScanner)
    case length(HTTPRequest, Int)
    case chunked(HTTPRequest, HTTPBodyParser)
  }

  let limits: HTTPLimits
  private var state = State.head(HTTPHeadScanner())
  private var received: NIODeadline?

  package init(limits: HTTPLimits) { self.limits = limits }

  var phase: Phase {
    switch state {
    case .head: received == nil ? .idle : .head
    case .length, .chunked: .body
    }
  }

  /// - Returns: What is complete in `inbox`, whose bytes it consumes, or nil if more are needed.
  package mutating func next(_ inbox: inout ByteBuffer, now: NIODeadline) throws(HTTPProtocolError) -> Event? {
    switch state {
    case .head(let scanner): return try nextHead(&inbox, scanner, now: now)
    case .length(var request, let length):
      guard let body = inbox.readSlice(length: length) else { return nil }
      request.body = body
      return finish(request)
    case .chunked(var request, var parser):
      while let part = try parser.next(&inbox) {
        switch part {
        case .end: return finish(request)
        case .bytes(var bytes):
          guard request.body.readableBytes + bytes.readableBytes <= limits.bodyBytes else {
            throw .bodyTooLarge(limit: limits.bodyBytes)
          }
          request.body.writeBuffer(&bytes)
        }
      }
      state = .chunked(request, parser)
      return nil
    }
  }

  private mutating func finish(_ request: HTTPRequest) -> Event {
    state = .head(HTTPHeadScanner())
    received = nil
    return .request(request)
  }

  private mutating func nextHead(
    _ inbox: inout ByteBuffer, _ scanner: HTTPHeadScanner, now: NIODeadline
  ) throws(HTTPProtocolError) -> Event? {
    if received == nil {
      // RFC 9112 §2.2: empty lines before a request are forgiven, also when one is only half there yet.
      while inbox.readableBytesView.starts(with: [0x0D, 0x0A]) { inbox.moveReaderIndex(forwardBy: 2) }
      guard inbox.readableBytes > 1 || inbox.readableBytesView.first ?? 0x0D != 0x0D else { return nil }
      received = now
    }
    var scanner = scanner
    guard let length = try scanner.headLength(of: inbox, limits: limits), let head = inbox.readSlice(length: length)
    else {
      state = .head(scanner)
      return nil
    }
    return try enterBody(try Self.parseHead(head, received: received ?? now), &inbox, now: now)
  }

  private mutating func enterBody(
    _ request: HTTPRequest, _ inbox: inout ByteBuffer, now: NIODeadline
  ) throws(HTTPProtocolError) -> Event? {
    let expectation = request.headers.contains(name: "expect") ? request.headers[canonicalForm: "expect"] : []
    if let value = expectation.first, expectation.count > 1 || value.lowercased() != "100-continue" {
      throw .unsupportedExpectation
    }
    switch try HTTPBodyFraming.named(in: request.headers, version: request.version) ?? .none {
    case .none, .untilClose: return finish(request)
    case .length(let length):
      guard length <= limits.bodyBytes else { throw .bodyTooLarge(limit: limits.bodyBytes) }
      state = .length(request, length)
    case .chunked: state = .chunked(request, HTTPBodyParser(.chunked))
    }
    if !expectation.isEmpty, inbox.readableBytes == 0, request.version == .http1_1 { return .awaitsContinue }
    return try next(&inbox, now: now)
  }

  // MARK: Start line

  private static func parseHead(_ head: ByteBuffer, received: NIODeadline) throws(HTTPProtocolError) -> HTTPRequest {
    let bytes = head.readableBytesView
    let lineEnd = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let line = bytes[..<max(bytes.startIndex, lineEnd - 1)]
    let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw .malformed("the request line is not method, target and version") }
    guard !parts[0].isEmpty, parts[0].count <= 32, parts[0].allSatisfy({ $0.isTokenByte }) else {
      throw .malformed("the method is not a token")
    }
    guard !parts[1].isEmpty, parts[1].allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw .malformed("the target holds a byte that is not allowed")
    }
    let version = try parseVersion(parts[2])
    let headers = try parseFieldLines(of: head, from: lineEnd + 1 - bytes.startIndex)
    let method = HTTPMethod(rawValue: String(decoding: parts[0], as: UTF8.self))
    let target = String(decoding: parts[1], as: UTF8.self)
    let authority = try checkHost(headers, version: version)
    let (path, query) = try parseTarget(target, method: method, host: authority)
    return HTTPRequest(
      method: method, path: path, query: query, version: version, headers: headers, received: received,
      keepAlive: keepAlive(headers, version: version))
  }

  private static func parseVersion(_ bytes: ByteBufferView) throws(HTTPProtocolError) -> HTTPVersion {
    guard bytes.count == 8, bytes.starts(with: "HTTP/".utf8), bytes[bytes.startIndex + 6] == UInt8(ascii: ".") else {
      throw .malformed("the version is not HTTP/x.y")
    }
    switch (bytes[bytes.startIndex + 5], bytes[bytes.startIndex + 7]) {
    case (0x31, 0x31): return .http1_1
    case (0x31, 0x30): return .http1_0
    case (0x30...0x39, 0x30...0x39): throw .unsupportedVersion
    default: throw .malformed("the version is not HTTP/x.y")
    }
  }

  /// RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0.
  private static func checkHost(_ headers: HTTPHeaders, version: HTTPVersion) throws(HTTPProtocolError) -> String? {
    let hosts = headers.lazy.filter { $0.name.utf8.count == 4 && $0.name.lowercased() == "host" }.map(\.value)
    guard hosts.count == 1 || (hosts.isEmpty && version == .http1_0) else {
      throw .malformed("it must have exactly one Host")
    }
    guard let host = hosts.first else { return nil }
    let allowed = host.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
      default: "-._~%!$&'()*+;=:[]".utf8.contains(byte)
      }
    }
    guard allowed else { throw .malformed("Host is not a host and port") }
    return host
  }

  /// Origin form; absolute form is reduced to it (RFC 9112 §3.2.2); `*` only for OPTIONS; authority form is refused.
  private static func parseTarget(
    _ target: String, method: HTTPMethod, host: String?
  ) throws(HTTPProtocolError) -> (path: String, query: String?) {
    if target == "*" {
      guard method == .OPTIONS else { throw .malformed("the target * is for OPTIONS only") }
      return ("*", nil)
    }
    var origin = Substring(target)
    if !target.hasPrefix("/") {
      let lowercased = target.lowercased()
      guard let scheme = ["http://", "https://"].first(where: { lowercased.hasPrefix($0) }) else {
        throw .malformed("the target is neither a path nor an http URL")
      }
      let rest = target.dropFirst(scheme.count)
      let authority = rest.prefix { $0 != "/" && $0 != "?" }
      guard !authority.isEmpty, !authority.contains("@"), host == nil || authority.lowercased() == host?.lowercased()
      else { throw .malformed("the target's authority is not the Host") }
      origin = rest.dropFirst(authority.count)
      if !origin.hasPrefix("/") { origin = "/" + origin }
    }
    guard !origin.contains("#") else { throw .malformed("the target has a fragment") }
    guard let mark = origin.firstIndex(of: "?") else { return (String(origin), nil) }
    return (String(origin[..<mark]), String(origin[origin.index(after: mark)...]))
  }

  private static func keepAlive(_ headers: HTTPHeaders, version: HTTPVersion) -> Bool {
    guard headers.contains(name: "connection") else { return version == .http1_1 }
    let options = headers[canonicalForm: "connection"].map { $0.lowercased() }
    if options.contains("close") { return false }
    return version == .http1_1 || options.contains("keep-alive")
  }
}
