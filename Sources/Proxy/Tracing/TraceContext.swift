/// Which trace a request belongs to, and the span that it came from.
///
/// Source: W3C Trace Context, level 1.
package struct TraceContext: Equatable, Sendable {
  package struct TraceID: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package var text: String { Self.hex(high) + Self.hex(low) }

    static func hex(_ number: UInt64) -> String {
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  package struct SpanID: Equatable, Sendable {
    package var number: UInt64

    package init(number: UInt64) { self.number = number }

    /// Never zero, which means none.
    package init(using dice: inout some RandomNumberGenerator) { number = .random(in: 1 ... .max, using: &dice) }

    package var text: String { TraceID.hex(number) }
  }

  package var trace: TraceID
  /// nil: the trace begins here.
  package var parent: SpanID?
  /// Whether whoever sent the request records it.
  package var isSampled: Bool

  /// A trace that begins here.
  package init(using dice: inout some RandomNumberGenerator) {
    trace = TraceID(high: .random(in: 1 ... .max, using: &dice), low: .random(in: .min ... .max, using: &dice))
    isSampled = true
  }

  /// - Parameter traceparent: `00-TRACE-PARENT-FLAGS`; later versions may have more behind.
  /// - Returns: nil if it is not well formed: the trace then begins here.
  package init?(traceparent: String) {
    let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, let version = Self.number(parts[0], digits: 2), version != 255,
      version > 0 || parts.count == 4, parts[1].utf8.count == 32,
      let high = Self.number(parts[1].prefix(16), digits: 16), let low = Self.number(parts[1].suffix(16), digits: 16),
      let parent = Self.number(parts[2], digits: 16), let flags = Self.number(parts[3], digits: 2),
      high | low != 0, parent != 0
    else { return nil }
    trace = TraceID(high: high, low: low)
    self.parent = SpanID(number: parent)
    isSampled = flags & 1 == 1
  }

  /// For a request that `span` sends.
  package func traceparent(from span: SpanID) -> String { "00-\(trace.text)-\(span.text)-01" }

  private static func number(_ text: Substring, digits: Int) -> UInt64? {
    let isHex = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    return text.utf8.count == digits && isHex ? UInt64(text, radix: 16) : nil
  }
}
