import NIOCore
import NIOHTTP1

/// How the length of a message's body is told.
package enum HTTPBodyFraming: Equatable, Sendable {
  case none
  case length(Int)
  case chunked
  /// Responses only: the body ends where the connection does.
  case untilClose

  /// The framing that the header fields name (RFC 9112 §6), or nil if they name none.
  ///
  /// Refused: both Content-Length and Transfer-Encoding, more than one Content-Length, one that is not plain digits,
  /// any coding but a single `chunked`, Transfer-Encoding in HTTP/1.0.
  package static func named(in headers: HTTPHeaders, version: HTTPVersion) throws(HTTPProtocolError) -> Self? {
    var lengths = 0
    var codings = 0
    var length = ""
    var coding = ""
    for (name, value) in headers {
      if name.utf8.count == 14, name.lowercased() == "content-length" {
        lengths += 1
        length = value
      } else if name.utf8.count == 17, name.lowercased() == "transfer-encoding" {
        codings += 1
        coding = value
      }
    }
    if codings > 0 {
      guard lengths == 0 else { throw .malformed("it has both Content-Length and Transfer-Encoding") }
      guard codings == 1, version == .http1_1 else { throw .malformed("Transfer-Encoding is repeated or in HTTP/1.0") }
      guard coding.lowercased() == "chunked" else { throw .unsupportedTransferCoding }
      return .chunked
    }
    guard lengths > 0 else { return nil }
    guard lengths == 1, (1...18).contains(length.utf8.count), length.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let value = Int(length)
    else { throw .malformed("Content-Length is not one plain number") }
    return .length(value)
  }
}

/// Takes a body out of bytes that arrive in pieces: `next` until `.end`. Trailers are checked and dropped.
package struct HTTPBodyParser: Sendable {
  package enum Part: Equatable, Sendable {
    case bytes(ByteBuffer)
    case end
  }

  private enum State {
    case fixed(remaining: Int)
    case chunkSize
    case chunk(remaining: Int)
    case chunkEnd
    case trailers(bytes: Int)
    case untilClose
    case done

    var isDone: Bool { if case .done = self { true } else { false } }
  }

  private static let longestLine = 1024
  private static let mostTrailerBytes = 8192
  private var state: State

  package init(_ framing: HTTPBodyFraming) {
    state =
      switch framing {
      case .none: .fixed(remaining: 0)
      case .length(let count): .fixed(remaining: count)
      case .chunked: .chunkSize
      case .untilClose: .untilClose
      }
  }

  /// Whether the peer may close the connection here and the body be whole.
  package var mayEndByClose: Bool {
    switch state {
    case .untilClose, .done: true
    default: false
    }
  }

  /// - Returns: The next part, or nil if more bytes are needed. After `.end` the rest belongs to the next message.
  package mutating func next(_ buffer: inout ByteBuffer) throws(HTTPProtocolError) -> Part? {
    while true {
      switch state {
      case .fixed(remaining: 0):
        state = .done
        return .end
      case .fixed(let remaining):
        guard let slice = buffer.readSlice(length: min(remaining, buffer.readableBytes)), slice.readableBytes > 0
        else { return nil }
        state = .fixed(remaining: remaining - slice.readableBytes)
        return .bytes(slice)
      case .chunk(let remaining):
        guard let slice = buffer.readSlice(length: min(remaining, buffer.readableBytes)), slice.readableBytes > 0
        else { return nil }
        let left = remaining - slice.readableBytes
        state = left == 0 ? .chunkEnd : .chunk(remaining: left)
        return .bytes(slice)
      case .untilClose:
        guard buffer.readableBytes > 0 else { return nil }
        return .bytes(buffer.readSlice(length: buffer.readableBytes)!)
      case .chunkSize, .chunkEnd, .trailers:
        guard try readLine(&buffer) else { return nil }
      case .done:
        return .end
      }
    }
  }

  /// As `next`, but all parts that are there come as one: what handles a part costs more than copying it.
  package mutating func nextJoined(_ buffer: inout ByteBuffer) throws(HTTPProtocolError) -> Part? {
    guard case .bytes(let first)? = try next(&buffer) else { return state.isDone ? .end : nil }
    guard case .bytes(let second)? = try next(&buffer) else { return .bytes(first) }
    var joined = ByteBufferAllocator().buffer(
      capacity: first.readableBytes + second.readableBytes + buffer.readableBytes)
    joined.writeImmutableBuffer(first)
    joined.writeImmutableBuffer(second)
    while case .bytes(let part)? = try next(&buffer) { joined.writeImmutableBuffer(part) }
    return .bytes(joined)
  }

  /// One step through the lines between chunks. Returns false if the line is not all there yet.
  private mutating func readLine(_ buffer: inout ByteBuffer) throws(HTTPProtocolError) -> Bool {
    var result = Result<Int?, HTTPProtocolError>.success(nil)
    buffer.withUnsafeReadableBytes { bytes in
      result = Result { () throws(HTTPProtocolError) in try takeLine(bytes) }
    }
    guard let length = try result.get() else { return false }
    buffer.moveReaderIndex(forwardBy: length)
    return true
  }

  /// - Returns: The length of the line with its end; nil if it is not all there yet.
  private mutating func takeLine(_ bytes: UnsafeRawBufferPointer) throws(HTTPProtocolError) -> Int? {
    guard let lf = bytes.prefix(Self.longestLine).firstIndex(of: UInt8(ascii: "\n")) else {
      guard bytes.count <= Self.longestLine else { throw .malformed("a line of the chunked coding is too long") }
      return nil
    }
    guard lf >= 1, bytes[lf - 1] == UInt8(ascii: "\r") else { throw .malformed("a chunk line ends without CR LF") }
    let line = UnsafeRawBufferPointer(rebasing: bytes[..<(lf - 1)])
    let length = lf + 1
    switch state {
    case .chunkSize:
      let size = try Self.chunkSize(line)
      state = size == 0 ? .trailers(bytes: 0) : .chunk(remaining: size)
    case .chunkEnd:
      guard line.isEmpty else { throw .malformed("a chunk is longer than its size") }
      state = .chunkSize
    case .trailers(let count):
      guard count + length <= Self.mostTrailerBytes else { throw .headTooLarge("trailers") }
      state = line.isEmpty ? .done : .trailers(bytes: count + length)
      if !line.isEmpty { _ = try parseFieldLines(UnsafeRawBufferPointer(rebasing: bytes[..<length])) }
    default: break
    }
    return length
  }

  /// `1*HEXDIG [chunk-ext]`; extensions are dropped.
  private static func chunkSize(_ line: UnsafeRawBufferPointer) throws(HTTPProtocolError) -> Int {
    var size = 0
    var digits = 0
    digits: for byte in line {
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x41...0x46: digit = byte - 0x41 + 10
      case 0x61...0x66: digit = byte - 0x61 + 10
      default: break digits
      }
      digits += 1
      guard digits <= 15 else { throw .malformed("a chunk size is too large") }
      size = size << 4 | Int(digit)
    }
    guard digits > 0 else { throw .malformed("a chunk size is not hexadecimal") }
    guard digits < line.count else { return size }
    guard line[digits] == UInt8(ascii: ";"), line[digits...].allSatisfy({ $0.isFieldByte }) else {
      throw .malformed("a chunk size is followed by something else")
    }
    return size
  }
}
