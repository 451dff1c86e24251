/// A set of Unicode scalars, as ranges in order that do not touch.
struct ScalarSet: Sendable, Equatable {
  private(set) var ranges: [ClosedRange<UInt32>] = []

  static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])
  static let digits = ScalarSet([0x30...0x39])
  static let words = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
  static let spaces = ScalarSet([0x09...0x0D, 0x20...0x20])

  init(_ ranges: [ClosedRange<UInt32>]) {
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  func subtracting(_ other: ScalarSet) -> ScalarSet {
    var left = ranges
    for hole in other.ranges {
      left = left.flatMap { range -> [ClosedRange<UInt32>] in
        guard range.overlaps(hole) else { return [range] }
        var parts: [ClosedRange<UInt32>] = []
        if range.lowerBound < hole.lowerBound { parts.append(range.lowerBound...(hole.lowerBound - 1)) }
        if range.upperBound > hole.upperBound { parts.append((hole.upperBound + 1)...range.upperBound) }
        return parts
      }
    }
    return ScalarSet(left)
  }

  var complement: ScalarSet { Self.all.subtracting(self) }

  func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }

  // MARK: In bytes

  /// One scalar of the set, in UTF-8.
  var expression: Expression {
    let parts = subtracting(ScalarSet([0xD800...0xDFFF])).ranges.flatMap(Self.utf8)
    return parts.count == 1 ? parts[0] : .choice(parts)
  }

  /// One scalar of the set as it stands in a JSON string: what JSON escapes is escaped, and nothing else is.
  var jsonExpression: Expression {
    let escapes: [(UInt32, String)] = [
      (0x22, "\\\""), (0x5C, "\\\\"), (0x08, "\\b"), (0x09, "\\t"), (0x0A, "\\n"), (0x0C, "\\f"), (0x0D, "\\r"),
    ]
    var parts: [Expression] = []
    for (scalar, text) in escapes where contains(scalar) { parts.append(.literal(text)) }
    let plain = subtracting(ScalarSet([0x00...0x1F, 0x22...0x22, 0x5C...0x5C]))
    if !plain.ranges.isEmpty { parts.append(plain.expression) }
    return parts.count == 1 ? parts[0] : .choice(parts)
  }

  /// A range as sequences of byte ranges: cut where the number of bytes changes, and where a leading byte does not take
  /// all of its continuations.
  private static func utf8(_ range: ClosedRange<UInt32>) -> [Expression] {
    for last in [0x7F, 0x7FF, 0xFFFF] as [UInt32] where range.lowerBound <= last && range.upperBound > last {
      return utf8(range.lowerBound...last) + utf8((last + 1)...range.upperBound)
    }
    guard range.upperBound > 0x7F else { return [.bytes(ByteSet(UInt8(range.lowerBound)...UInt8(range.upperBound)))] }
    for bits in [6, 12, 18] as [UInt32] {
      let mask: UInt32 = (1 << bits) - 1
      guard range.lowerBound & ~mask != range.upperBound & ~mask else { continue }
      if range.lowerBound & mask != 0 {
        return utf8(range.lowerBound...(range.lowerBound | mask))
          + utf8(((range.lowerBound | mask) + 1)...range.upperBound)
      }
      if range.upperBound & mask != mask {
        return utf8(range.lowerBound...((range.upperBound & ~mask) - 1))
          + utf8((range.upperBound & ~mask)...range.upperBound)
      }
    }
    let (low, high) = (encoded(range.lowerBound), encoded(range.upperBound))
    return [.sequence(zip(low, high).map { .bytes(ByteSet($0...$1)) })]
  }

  private static func encoded(_ scalar: UInt32) -> [UInt8] { Array(String(Character(Unicode.Scalar(scalar)!)).utf8) }
}
