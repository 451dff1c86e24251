import NIOCore
import NIOHTTP1

/// Finds the end of a message's head in bytes that arrive in pieces, looking at each byte once.
package struct HTTPHeadScanner: Sendable {
  /// Bytes of the head that are known to be whole lines.
  private var lineStart = 0
  /// Bytes that were searched for the end of the current line.
  private var scanned = 0
  private var lines = 0

  package init() {}

  /// - Returns: The length of the head with its empty last line, or nil if `buffer` does not hold it all yet.
  package mutating func headLength(of buffer: ByteBuffer, limits: HTTPLimits) throws(HTTPProtocolError) -> Int? {
    var result = Result<Int?, HTTPProtocolError>.success(nil)
    buffer.withUnsafeReadableBytes { bytes in
      result = Result { () throws(HTTPProtocolError) in try headLength(in: bytes, limits: limits) }
    }
    return try result.get()
  }

  private mutating func headLength(in bytes: UnsafeRawBufferPointer, limits: HTTPLimits) throws(HTTPProtocolError)
    -> Int?
  {
    while let lf = bytes[scanned...].firstIndex(of: UInt8(ascii: "\n")) {
      guard lf > lineStart, bytes[lf - 1] == UInt8(ascii: "\r") else { throw .malformed("a line ends without CR LF") }
      if lf - 1 == lineStart { return lf + 1 }
      scanned = lf + 1
      try check(limits)
      lines += 1
      lineStart = scanned
    }
    scanned = bytes.count
    try check(limits)
    return nil
  }

  private func check(_ limits: HTTPLimits) throws(HTTPProtocolError) {
    let startLineExtra = 32  // method, version and their spaces
    if lines == 0, scanned > limits.targetBytes + startLineExtra { throw .targetTooLong(limit: limits.targetBytes) }
    if scanned > limits.headBytes { throw .headTooLarge("more than \(limits.headBytes) bytes") }
    if lines > limits.headerFields { throw .headTooLarge("more than \(limits.headerFields) header fields") }
  }
}

/// Reads the field lines of a head (RFC 9112 §5), which ends after its empty line.
/// Folded lines, space before the colon, empty or non-token names and control bytes are refused.
///
/// - Parameter offset: Of the first field line in `head`.
package func parseFieldLines(of head: ByteBuffer, from offset: Int) throws(HTTPProtocolError) -> HTTPHeaders {
  var result = Result<HTTPHeaders, HTTPProtocolError>.success([:])
  head.withUnsafeReadableBytes { bytes in
    let lines = UnsafeRawBufferPointer(rebasing: bytes[min(offset, bytes.count)...])
    result = Result { () throws(HTTPProtocolError) in try parseFieldLines(lines) }
  }
  return try result.get()
}

func parseFieldLines(_ bytes: UnsafeRawBufferPointer) throws(HTTPProtocolError) -> HTTPHeaders {
  var fields: [(String, String)] = []
  fields.reserveCapacity(8)
  var start = bytes.startIndex
  while start < bytes.endIndex, let lf = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
    let line = UnsafeRawBufferPointer(rebasing: bytes[start..<max(start, lf - 1)])
    start = lf + 1
    if line.isEmpty { break }
    fields.append(try parseFieldLine(line))
  }
  return HTTPHeaders(fields)
}

private func parseFieldLine(_ line: UnsafeRawBufferPointer) throws(HTTPProtocolError) -> (String, String) {
  guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed("a header line has no colon") }
  guard colon > 0 else { throw .malformed("a header field has no name") }
  for byte in line[..<colon] where !byte.isTokenByte {
    throw .malformed("a header name holds a byte that is not allowed")
  }
  var from = colon + 1
  var to = line.endIndex
  while from < to, line[from].isOptionalWhitespace { from += 1 }
  while to > from, line[to - 1].isOptionalWhitespace { to -= 1 }
  for byte in line[from..<to] where !byte.isFieldByte { throw .malformed("a header value holds a control byte") }
  return (
    String(decoding: UnsafeRawBufferPointer(rebasing: line[..<colon]), as: UTF8.self),
    String(decoding: UnsafeRawBufferPointer(rebasing: line[from..<to]), as: UTF8.self)
  )
}

extension UInt8 {
  /// RFC 9110 §5.6.2 `tchar`.
  var isTokenByte: Bool {
    let low: UInt64 = 0x03FF_6CFA_0000_0000  // ! # $ % & ' * + - . 0–9
    let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE  // A–Z ^ _ ` a–z | ~
    return self < 64 ? (low >> UInt64(self)) & 1 == 1 : self < 128 && (high >> UInt64(self - 64)) & 1 == 1
  }

  /// RFC 9110 §5.5: visible, space, tab, or above ASCII.
  var isFieldByte: Bool { (self >= 0x20 && self != 0x7F) || self == UInt8(ascii: "\t") }

  var isOptionalWhitespace: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}
