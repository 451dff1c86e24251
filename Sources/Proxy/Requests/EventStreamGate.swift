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

  /// Whether the first event's data is an error: vLLM answers 200 before it knows that it cannot.
  package static func beginsWithError(_ events: ByteBuffer) -> Bool {
    events.withUnsafeReadableBytes { bytes in
      var start = 0
      while start < bytes.count {
        let end = bytes[start...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? bytes.count
        if bytes.hasBytes("data:", at: start) {
          return isError(UnsafeRawBufferPointer(rebasing: bytes[(start + 5)..<end]))
        }
        start = end + 1
      }
      return false
    }
  }

  private static func isError(_ data: UnsafeRawBufferPointer) -> Bool {
    // Ordinary events have no such key: only a suspect is scanned.
    guard data.offset(of: "\"error\"") != nil else { return false }
    let json = UnsafeRawBufferPointer(rebasing: data.drop { $0 == UInt8(ascii: " ") })
    guard let value = try? JSONObject(scanning: json).value(of: "error") else { return false }
    return !json.hasBytes("null", at: value.lowerBound)
  }
}
