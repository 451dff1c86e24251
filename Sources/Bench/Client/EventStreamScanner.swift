import Glibc

/// Takes the data of events out of a `text/event-stream` that comes in pieces, cut at any byte. An event that lies
/// whole in a piece is handed on where it lies; only what is cut is copied. Lines end with LF or CR LF, as in every LLM
/// server's streams.
package struct EventStreamScanner {
  package static let longestEvent = 4 * 1024 * 1024
  /// An event that has begun and not ended.
  private var begun: [UInt8] = []

  package init() {}

  package struct TooLong: Error {}

  package enum Part {
    /// Of an event; several lines of it joined.
    case data(UnsafeRawBufferPointer)
    /// Of a comment that stands alone, as keep-alives and the proxy's timing do.
    case comment(UnsafeRawBufferPointer)
  }

  /// Whether the stream may end here and no event be cut.
  package var isBetweenEvents: Bool { begun.allSatisfy { $0 == 0x0A || $0 == 0x0D } }

  /// - Parameter body: Called with each event that ends in this piece; fields other than data are passed over.
  package mutating func feed(
    _ piece: UnsafeRawBufferPointer, _ body: (Part) -> Void
  ) throws(TooLong) {
    if begun.isEmpty {
      let used = Self.scan(piece, body)
      begun.append(contentsOf: piece[used...])
    } else {
      begun.append(contentsOf: piece)
      let used = begun.withUnsafeBytes { Self.scan($0, body) }
      begun.removeFirst(used)
    }
    if begun.count > Self.longestEvent { throw TooLong() }
  }

  /// - Returns: How many bytes the events took that end in `bytes`.
  private static func scan(_ bytes: UnsafeRawBufferPointer, _ body: (Part) -> Void) -> Int {
    var eventStart = 0
    var lineStart = 0
    while let end = indexOfLineFeed(bytes, from: lineStart) {
      let isBlank = end == lineStart || (end == lineStart + 1 && bytes[lineStart] == UInt8(ascii: "\r"))
      lineStart = end + 1
      guard isBlank else { continue }
      readEvent(UnsafeRawBufferPointer(rebasing: bytes[eventStart..<end]), body)
      eventStart = lineStart
    }
    return eventStart
  }

  private static func readEvent(_ event: UnsafeRawBufferPointer, _ body: (Part) -> Void) {
    var first: Range<Int>?
    var joined: [UInt8] = []
    var start = 0
    while start < event.count {
      let end = indexOfLineFeed(event, from: start) ?? event.count
      if let value = data(in: event, start..<end) {
        if let first {
          if joined.isEmpty { joined += event[first] }
          joined.append(UInt8(ascii: "\n"))
          joined += event[value]
        }
        first = first ?? value
      }
      start = end + 1
    }
    guard let first else {
      if event.first == UInt8(ascii: ":") {
        let line = event[1..<(indexOfLineFeed(event, from: 0) ?? event.count)]
        let text = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
        body(.comment(UnsafeRawBufferPointer(rebasing: text)))
      }
      return
    }
    if joined.isEmpty { return body(.data(UnsafeRawBufferPointer(rebasing: event[first]))) }
    joined.withUnsafeBytes { body(.data($0)) }
  }

  /// Where the value of a `data:` line lies, without one space before it.
  private static func data(in event: UnsafeRawBufferPointer, _ line: Range<Int>) -> Range<Int>? {
    let name: StaticString = "data:"
    guard line.count >= 5, (0..<5).allSatisfy({ event[line.lowerBound + $0] == name.utf8Start[$0] }) else { return nil }
    var value = line.dropFirst(5)
    if let first = value.first, event[first] == UInt8(ascii: " ") { value = value.dropFirst() }
    if let last = value.last, event[last] == UInt8(ascii: "\r") { value = value.dropLast() }
    return value
  }

  private static func indexOfLineFeed(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress,
      let found = memchr(base + start, 0x0A, bytes.count - start)
    else { return nil }
    return UnsafeRawPointer(found) - base
  }
}
