/// Why bytes are not JSON, and where.
package struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Offset of the byte that is wrong; the length of the text if it ends too early.
  package var offset: Int
  package var expected: String

  package var description: String { "Invalid JSON at byte \(offset): expected \(expected)." }
}

/// Walks over JSON (RFC 8259) without building anything: strict grammar, valid UTF-8, bounded depth. No recursion, and
/// string bytes are looked at eight at a time, because a prompt is one long string.
struct JSONScanner {
  private static let depthLimit = 512
  let bytes: UnsafeRawBufferPointer
  private(set) var position: Int
  /// Of the containers around the current value: whether each is an object.
  private var containers: [Bool] = []

  init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  var isAtEnd: Bool { position >= bytes.count }

  /// The byte here, or nil at the end.
  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipWhitespace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  /// Passes `byte` or throws.
  mutating func expect(_ byte: UInt8, _ name: String) throws(JSONSyntaxError) {
    guard current == byte else { throw failure(name) }
    position += 1
  }

  /// Passes one value of any kind; whitespace before it must have been skipped.
  mutating func skipValue() throws(JSONSyntaxError) {
    containers.removeAll(keepingCapacity: true)
    repeat {
      if try enterValue() { continue }
      while try leaveValue() {}
    } while !containers.isEmpty
  }

  /// - Returns: Whether a container was opened, so that another value must follow.
  private mutating func enterValue() throws(JSONSyntaxError) -> Bool {
    switch current {
    case UInt8(ascii: "{"):
      position += 1
      skipWhitespace()
      if current == UInt8(ascii: "}") {
        position += 1
        return false
      }
      try open(isObject: true)
      try skipKey()
      return true
    case UInt8(ascii: "["):
      position += 1
      skipWhitespace()
      if current == UInt8(ascii: "]") {
        position += 1
        return false
      }
      try open(isObject: false)
      return true
    case UInt8(ascii: "\""): try skipString()
    case UInt8(ascii: "t"): try skipLiteral("true")
    case UInt8(ascii: "f"): try skipLiteral("false")
    case UInt8(ascii: "n"): try skipLiteral("null")
    default: try skipNumber()
    }
    return false
  }

  /// After a value. Returns whether it closed a container, which is a value itself.
  private mutating func leaveValue() throws(JSONSyntaxError) -> Bool {
    guard let isObject = containers.last else { return false }
    skipWhitespace()
    switch current {
    case UInt8(ascii: ","):
      position += 1
      skipWhitespace()
      if isObject { try skipKey() }
      return false
    case UInt8(ascii: "}") where isObject, UInt8(ascii: "]") where !isObject:
      position += 1
      containers.removeLast()
      return true
    default: throw failure(isObject ? "a comma or }" : "a comma or ]")
    }
  }

  private mutating func open(isObject: Bool) throws(JSONSyntaxError) {
    guard containers.count < Self.depthLimit else { throw failure("at most \(Self.depthLimit) levels") }
    containers.append(isObject)
  }

  private mutating func skipKey() throws(JSONSyntaxError) {
    guard current == UInt8(ascii: "\"") else { throw failure("a quoted key") }
    try skipString()
    skipWhitespace()
    try expect(UInt8(ascii: ":"), "a colon")
    skipWhitespace()
  }

  private mutating func skipLiteral(_ text: StaticString) throws(JSONSyntaxError) {
    for offset in 0..<text.utf8CodeUnitCount {
      guard current == text.utf8Start[offset] else { throw failure("\(text)") }
      position += 1
    }
  }

  private mutating func skipNumber() throws(JSONSyntaxError) {
    if current == UInt8(ascii: "-") { position += 1 }
    switch current {
    case UInt8(ascii: "0"): position += 1
    case .some(0x31...0x39): skipDigits()
    default: throw failure("a value")
    }
    if current == UInt8(ascii: ".") {
      position += 1
      try requireDigits()
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      try requireDigits()
    }
  }

  private mutating func requireDigits() throws(JSONSyntaxError) {
    guard case .some(0x30...0x39) = current else { throw failure("a digit") }
    skipDigits()
  }

  private mutating func skipDigits() {
    while position < bytes.count, case 0x30...0x39 = bytes[position] { position += 1 }
  }

  /// Passes a string with its quotes.
  mutating func skipString() throws(JSONSyntaxError) {
    position += 1
    while true {
      skipPlainText()
      guard let byte = current else { throw failure("the end of a string") }
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return
      case UInt8(ascii: "\\"): try skipEscape()
      case 0..<0x20: throw failure("no control byte in a string")
      case 0x80...: try skipMultibyte(byte)
      default: position += 1
      }
    }
  }

  /// Passes the whole words that hold neither quote, backslash, control byte nor a byte above ASCII. (Words, because
  /// Swift's SIMD masks cost a call a lane here.)
  private mutating func skipPlainText() {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops: UInt64 = 0x8080_8080_8080_8080
    while position + 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
      let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
      let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
      // The top bit of a byte is set if the byte is special; a borrow may set more, which only costs time.
      let special =
        word | ((word &- ones &* 0x20) & ~word) | ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
      if special & tops != 0 { return }
      position += 8
    }
  }

  private mutating func skipEscape() throws(JSONSyntaxError) {
    position += 1
    switch current {
    case .some(let byte) where #""\/bfnrt"#.utf8.contains(byte): position += 1
    case UInt8(ascii: "u"):
      position += 1
      for _ in 0..<4 {
        switch current {
        case .some(0x30...0x39), .some(0x41...0x46), .some(0x61...0x66): position += 1
        default: throw failure("a hexadecimal digit")
        }
      }
    default: throw failure("an escape")
    }
  }

  /// One scalar of two to four bytes; overlong forms, surrogates and what is above U+10FFFF are refused (RFC 3629).
  private mutating func skipMultibyte(_ lead: UInt8) throws(JSONSyntaxError) {
    let (count, second): (Int, ClosedRange<UInt8>) =
      switch lead {
      case 0xC2...0xDF: (2, 0x80...0xBF)
      case 0xE0: (3, 0xA0...0xBF)
      case 0xED: (3, 0x80...0x9F)
      case 0xE1...0xEF: (3, 0x80...0xBF)
      case 0xF0: (4, 0x90...0xBF)
      case 0xF4: (4, 0x80...0x8F)
      case 0xF1...0xF3: (4, 0x80...0xBF)
      default: throw failure("valid UTF-8")
      }
    guard position + count <= bytes.count, second.contains(bytes[position + 1]) else { throw failure("valid UTF-8") }
    for offset in 2..<max(count, 2) where bytes[position + offset] & 0xC0 != 0x80 { throw failure("valid UTF-8") }
    position += count
  }

  func failure(_ expected: String) -> JSONSyntaxError { JSONSyntaxError(offset: position, expected: expected) }
}
