import NIOCore
import ServingAPI

/// Lets whole server-sent events through and holds the beginning of an unfinished one back, so that a stream can be
/// broken between two events, and be judged by its first one. Bytes are never changed.
package struct EventStreamGate: Sendable {
  private static let mostHeld = 1 << 20
  package private(set) var held = ByteBuffer()

  package init() {}

  /// - Returns: The bytes up to the end of the last whole event; nil if there is none yet. An event that is larger than
  ///   the gate holds goes through in parts.
  package mutating func take(_ bytes: ByteBuffer) -> ByteBuffer? {
    var bytes = bytes
    if held.readableBytes == 0 { held = bytes } else { held.writeBuffer(&bytes) }
    let count = held.withUnsafeReadableBytes { Self.endOfLastEvent($0) }
    if count == 0, held.readableBytes < Self.mostHeld { return nil }
    let whole = held.readSlice(length: count == 0 ? held.readableBytes : count)
    if held.readableBytes == 0 { held = ByteBuffer() }
    return whole
  }

  /// An event ends with an empty line; lines end with LF, CR or CR LF.
  private static func endOfLastEvent(_ bytes: UnsafeRawBufferPointer) -> Int {
    let (lf, cr) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
    var index = bytes.count - 1
    while index > 0 {
      switch (bytes[index - 1], bytes[index]) {
      case (lf, lf), (cr, cr): return index + 1
      case (lf, cr): return index + 1 < bytes.count && bytes[index + 1] == lf ? index + 2 : index + 1
      default: index -= 1
      }
    }
    return 0
  }

  /// The JSON of the first event's data if it is an error: vLLM answers 200 before it knows that it cannot.
  static func leadingError(in events: ByteBuffer) -> ByteBuffer? {
    var rest = events.readableBytesView
    while !rest.isEmpty {
      let line = rest.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
      rest = rest.dropFirst(line.count + 1)
      guard line.starts(with: "data:".utf8) else { continue }
      let data = line.dropFirst(5).drop { $0 == UInt8(ascii: " ") }
      // Ordinary events have other first keys: only a suspect is scanned.
      guard data.prefix(64).contains(UInt8(ascii: "e")), data.first == UInt8(ascii: "{") else { return nil }
      let json = ByteBuffer(bytes: data)
      let range = json.withUnsafeReadableBytes { try? JSONObject(scanning: $0).value(of: "error") }
      guard let range, json.getString(at: range.lowerBound, length: range.count) != "null" else { return nil }
      return json
    }
    return nil
  }
}
