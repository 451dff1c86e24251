import Glibc

/// Looks for the keys of an event in its bytes, without reading it as JSON.
///
/// A needle that ends `name":` can only be a key: a quote inside a string has a backslash before it, and no colon follows
/// the quote that ends a value.
extension UnsafeRawBufferPointer {
  /// - Returns: Where `needle` begins, at `start` or after it.
  func offset(of needle: StaticString, from start: Int = 0) -> Int? {
    guard let base = baseAddress else { return nil }
    let anchor = Self.anchor(of: needle)
    var place = start + anchor
    while place < count, let found = memchr(base + place, Int32(needle.utf8Start[anchor]), count - place) {
      place = UnsafeRawPointer(found) - base
      if hasBytes(needle, at: place - anchor) { return place - anchor }
      place += 1
    }
    return nil
  }

  /// Where the needle has a byte that is rare in JSON; in the worst case its last letter, for all begin with a quote.
  private static func anchor(of needle: StaticString) -> Int {
    for place in 0..<needle.utf8CodeUnitCount {
      switch needle.utf8Start[place] {
      case UInt8(ascii: "_"), UInt8(ascii: "["), UInt8(ascii: "x"): return place
      default: break
      }
    }
    return Swift.max(0, needle.utf8CodeUnitCount - 3)
  }

  func begins(with bytes: [UInt8]) -> Bool {
    guard let base = baseAddress, count >= bytes.count else { return false }
    return memcmp(base, bytes, bytes.count) == 0
  }

  func hasBytes(_ text: StaticString, at offset: Int) -> Bool {
    let length = text.utf8CodeUnitCount
    guard offset >= 0, offset + length <= count, let base = baseAddress else { return false }
    return memcmp(base + offset, text.utf8Start, length) == 0
  }

  /// - Returns: Just after the quote that ends the string whose first quote is at `start`.
  func endOfString(at start: Int) -> Int? {
    var index = start + 1
    while index < count {
      switch self[index] {
      case UInt8(ascii: "\\"): index += 2
      case UInt8(ascii: "\""): return index + 1
      default: index += 1
      }
    }
    return nil
  }

  /// Walks over the Unicode scalars of a JSON string whose first quote is at `start`.
  /// - Returns: How many there are, `limit` at most, and where the next one or the last quote is.
  package func scalars(inStringAt start: Int, atMost limit: Int = .max) -> (count: Int, end: Int) {
    var (index, found) = (start + 1, 0)
    while index < count, self[index] != UInt8(ascii: "\"") {
      let isEscaped = self[index] == UInt8(ascii: "\\")
      let isLong = isEscaped && hasBytes("u", at: index + 1)
      // A continuation byte, or the second half of a pair: \uDC00 to \uDFFF.
      let isSecond =
        isLong
        ? (hasBytes("d", at: index + 2) || hasBytes("D", at: index + 2)) && index + 3 < count
          && self[index + 3] | 0x20 >= UInt8(ascii: "c")
        : self[index] & 0xC0 == 0x80
      if !isSecond {
        if found == limit { break }
        found += 1
      }
      index += isLong ? 6 : isEscaped ? 2 : 1
    }
    return (found, Swift.min(index, count))
  }

  /// The numbers of a JSON array of token ids.
  /// - Parameter start: Just after the opening bracket.
  /// - Returns: nil if it is anything else; `end` is just after the closing bracket.
  func tokenIDs(from start: Int) -> (ids: [Int32], end: Int)? {
    var ids: [Int32] = []
    var index = start
    if index < count, self[index] == UInt8(ascii: "]") { return (ids, index + 1) }
    while true {
      var value: Int32 = 0
      var digits = 0
      while index < count, case let digit = self[index] &- UInt8(ascii: "0"), digit < 10 {
        let (tens, isTooLarge) = value.multipliedReportingOverflow(by: 10)
        let (sum, isTooLargeToo) = tens.addingReportingOverflow(Int32(digit))
        guard !isTooLarge, !isTooLargeToo else { return nil }
        value = sum
        digits += 1
        index += 1
      }
      guard digits > 0, index < count else { return nil }
      ids.append(value)
      switch self[index] {
      case UInt8(ascii: "]"): return (ids, index + 1)
      case UInt8(ascii: ","): index += 1
      default: return nil
      }
      while index < count, self[index] == UInt8(ascii: " ") { index += 1 }
    }
  }
}
