/// Why a body is not JSON, in the words of Python's decoder, which vLLM's clients know.
package struct BodySyntaxError: Error, Equatable {
  /// Bytes before the fault.
  package var offset: Int
  package var reason: String
}

/// Reads one JSON value (RFC 8259) and refuses everything else: comments, NaN, trailing text, lone surrogates,
/// broken UTF-8, nesting deeper than `maximumDepth`.
package struct BodyParser {
  package static let maximumDepth = 64

  private let bytes: [UInt8]
  private var position = 0

  package static func parse(_ bytes: [UInt8]) throws(BodySyntaxError) -> BodyValue {
    var parser = BodyParser(bytes: bytes)
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.fault("Extra data") }
    return value
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func fault(_ reason: String, at offset: Int? = nil) -> BodySyntaxError {
    BodySyntaxError(offset: offset ?? position, reason: reason)
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(BodySyntaxError) -> BodyValue {
    guard depth < Self.maximumDepth else { throw fault("Nesting deeper than \(Self.maximumDepth)") }
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ word: StaticString, _ value: BodyValue) throws(BodySyntaxError) -> BodyValue {
    let end = position + word.utf8CodeUnitCount
    let matches = word.withUTF8Buffer { end <= bytes.count && bytes[position..<end].elementsEqual($0) }
    guard matches else { throw fault("Expecting value") }
    position = end
    return value
  }

  private mutating func object(depth: Int) throws(BodySyntaxError) -> BodyValue {
    position += 1
    skipSpace()
    var fields = BodyValue.Fields()
    if skip(UInt8(ascii: "}")) { return .object(fields) }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw fault("Expecting property name enclosed in double quotes") }
      let key = try string()
      skipSpace()
      guard skip(UInt8(ascii: ":")) else { throw fault("Expecting ':' delimiter") }
      fields[key] = try value(depth: depth + 1)
      skipSpace()
      if skip(UInt8(ascii: "}")) { return .object(fields) }
      guard skip(UInt8(ascii: ",")) else { throw fault("Expecting ',' delimiter") }
    }
  }

  private mutating func array(depth: Int) throws(BodySyntaxError) -> BodyValue {
    position += 1
    skipSpace()
    var elements: [BodyValue] = []
    if skip(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if skip(UInt8(ascii: "]")) { return .array(elements) }
      guard skip(UInt8(ascii: ",")) else { throw fault("Expecting ',' delimiter") }
    }
  }

  /// An integer that fits 64 bits stays exact; everything else is a finite `Double`.
  private mutating func number() throws(BodySyntaxError) -> BodyValue {
    let start = position
    _ = skip(UInt8(ascii: "-"))
    let firstDigit = position
    guard skipDigits() > 0, bytes[firstDigit] != UInt8(ascii: "0") || position == firstDigit + 1 else {
      throw fault("Expecting value", at: start)
    }
    var isInteger = true
    if skip(UInt8(ascii: ".")) {
      isInteger = false
      guard skipDigits() > 0 else { throw fault("Expecting value", at: start) }
    }
    if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
      isInteger = false
      if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
      guard skipDigits() > 0 else { throw fault("Expecting value", at: start) }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw fault("Number out of range", at: start) }
    return .number(number)
  }

  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = current, byte >= 0x30, byte <= 0x39 { position += 1 }
    return position - start
  }

  private mutating func string() throws(BodySyntaxError) -> String {
    let opening = position
    position += 1
    var out: [UInt8] = []
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let text = String(validating: out, as: UTF8.self) else {
          throw fault("Invalid UTF-8 in string starting at", at: opening)
        }
        return text
      case UInt8(ascii: "\\"): try escape(into: &out)
      case 0..<0x20: throw fault("Invalid control character at")
      default:
        out.append(byte)
        position += 1
      }
    }
    throw fault("Unterminated string starting at", at: opening)
  }

  private mutating func escape(into out: inout [UInt8]) throws(BodySyntaxError) {
    let start = position
    position += 1
    guard let kind = current else { throw fault("Unterminated string starting at", at: start) }
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(kind)
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0C)
    case UInt8(ascii: "n"): out.append(0x0A)
    case UInt8(ascii: "r"): out.append(0x0D)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "u"): out += Array(String(try unicodeEscape(start: start)).utf8)
    default: throw fault("Invalid \\escape", at: start)
    }
  }

  private mutating func unicodeEscape(start: Int) throws(BodySyntaxError) -> Character {
    var code = try hexDigits(start: start)
    if code & 0xFC00 == 0xD800 {
      guard skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else { throw fault("Lone surrogate", at: start) }
      let low = try hexDigits(start: start)
      guard low & 0xFC00 == 0xDC00 else { throw fault("Lone surrogate", at: start) }
      code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
    }
    guard let scalar = Unicode.Scalar(code) else { throw fault("Lone surrogate", at: start) }
    return Character(scalar)
  }

  private mutating func hexDigits(start: Int) throws(BodySyntaxError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("Invalid \\uXXXX escape", at: start)
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
