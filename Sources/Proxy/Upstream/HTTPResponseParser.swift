import HTTPServer
import NIOCore
import NIOHTTP1

struct UpstreamHead: Sendable {
  var status: HTTPResponseStatus
  var headers: HTTPHeaders
}

/// Takes one response out of a worker's bytes, as strictly as requests are read. Interim responses are passed over, but for
/// 103. What is there of a body comes as one, however the worker cut it.
struct HTTPResponseParser {
  enum Event {
    /// An interim response that tells something: 103.
    case early(UpstreamHead)
    case head(UpstreamHead)
    case bytes(ByteBuffer)
    case end
  }

  private enum State {
    case head(HTTPHeadScanner)
    case body(HTTPBodyParser)
    case done
  }

  private static let mostInterimResponses = 8
  private static let limits = HTTPLimits()
  private var state = State.head(HTTPHeadScanner())
  private var interimResponses = 0
  /// Whether the connection may carry another request after `.end`.
  private(set) var keepsConnection = false

  /// Whether the worker may close here and the answer be whole.
  var mayEndByClose: Bool {
    guard case .body(let parser) = state else { return false }
    return parser.mayEndByClose
  }

  /// - Returns: The next event, or nil if more bytes are needed.
  mutating func next(_ inbox: inout ByteBuffer) throws(HTTPProtocolError) -> Event? {
    while true {
      switch state {
      case .head(var scanner):
        guard let head = try Self.readHead(&inbox, &scanner) else {
          state = .head(scanner)
          return nil
        }
        if (100..<200).contains(head.status.code) {
          interimResponses += 1
          guard head.status != .switchingProtocols, interimResponses <= Self.mostInterimResponses else {
            throw .malformed("too many or unasked interim responses")
          }
          state = .head(HTTPHeadScanner())
          if head.status.code == 103 { return .early(UpstreamHead(status: head.status, headers: head.headers)) }
          continue
        }
        try enterBody(head)
        return .head(UpstreamHead(status: head.status, headers: head.headers))
      case .body(var parser):
        defer { if case .body = state { state = .body(parser) } }
        switch try parser.nextJoined(&inbox) {
        case nil: return nil
        case .bytes(let bytes): return .bytes(bytes)
        case .end:
          state = .done
          return .end
        }
      case .done: return nil
      }
    }
  }

  private mutating func enterBody(_ head: Head) throws(HTTPProtocolError) {
    let named = try HTTPBodyFraming.named(in: head.headers, version: head.version)
    let framing = head.status.mayHaveResponseBody ? named ?? .untilClose : .none
    let closes = head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
    keepsConnection = head.version == .http1_1 && !closes && framing != .untilClose
    state = .body(HTTPBodyParser(framing))
  }

  private typealias Head = (status: HTTPResponseStatus, version: HTTPVersion, headers: HTTPHeaders)

  private static func readHead(
    _ inbox: inout ByteBuffer, _ scanner: inout HTTPHeadScanner
  ) throws(HTTPProtocolError) -> Head? {
    let length = try scanner.headLength(of: inbox, limits: limits)
    guard let length, let bytes = inbox.readSlice(length: length) else { return nil }
    let view = bytes.readableBytesView
    guard let lineEnd = view.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let line = Array(view[..<(lineEnd - 1)])
    // HTTP/1.x SP 3DIGIT [SP reason]
    guard line.count >= 12, line.starts(with: "HTTP/1.".utf8), line[8] == 0x20, line.count == 12 || line[12] == 0x20,
      line[7] == 0x30 || line[7] == 0x31, line[9...11].allSatisfy({ (0x30...0x39).contains($0) }),
      let code = Int(String(decoding: line[9...11], as: UTF8.self)), code >= 100
    else { throw .malformed("the status line is not HTTP/1.x and a status") }
    let headers = try parseFieldLines(of: bytes, from: lineEnd + 1 - view.startIndex)
    return (HTTPResponseStatus(statusCode: code), line[7] == 0x31 ? .http1_1 : .http1_0, headers)
  }
}
