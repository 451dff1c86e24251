/// A JSON document as it stands: an object's fields in their order, none lost. (A dictionary of Swift strings would make
/// one of two tokens that are canonically equivalent.)
package enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([Field])

  package struct Field: Sendable, Equatable {
    package let key: String
    package let value: JSONValue
  }

  /// An object's field, the last of that name; nil for a null, as for one that is missing.
  package subscript(key: String) -> JSONValue? {
    guard let value = fields.last(where: { $0.key == key })?.value, value != .null else { return nil }
    return value
  }

  package var fields: [Field] { if case .object(let fields) = self { fields } else { [] } }
  package var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
  package var string: String? { if case .string(let string) = self { string } else { nil } }
  package var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
  package var integer: Int? { if case .integer(let integer) = self { integer } else { nil } }
  package var double: Double? {
    switch self {
    case .integer(let integer): Double(integer)
    case .number(let number): number
    default: nil
    }
  }
}

/// Where a text is no JSON, from its first byte.
package struct JSONSyntaxError: Error, Equatable {
  package let offset: Int
}

/// Source: RFC 8259. A lone surrogate in an escape becomes U+FFFD; numbers beyond `Int` become `Double`.
struct JSONParser {
  /// Of arrays and objects in each other.
  static let depthLimit = 64

  private let text: UnsafeRawBufferPointer
  private var index = 0

  private init(_ text: UnsafeRawBufferPointer) { self.text = text }

  static func parse(_ text: UnsafeRawBufferPointer) throws(JSONSyntaxError) -> JSONValue {
    var parser = JSONParser(text)
    let value = try parser.value(depth: 0)
    guard parser.peek() == nil else { throw parser.error }
    return value
  }

  private var error: JSONSyntaxError { JSONSyntaxError(offset: index) }

  /// The next byte that is no white space, which it stands at then.
  private mutating func peek() -> UInt8? {
    while index < text.count {
      let byte = text[index]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
      index += 1
    }
    return nil
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    index += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    guard depth < Self.depthLimit, let byte = peek() else { throw error }
    switch byte {
    case UInt8(ascii: "{"): return .object(try fields(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func fields(depth: Int) throws(JSONSyntaxError) -> [JSONValue.Field] {
    index += 1
    var fields: [JSONValue.Field] = []
    if take(UInt8(ascii: "}")) { return fields }
    repeat {
      guard peek() == UInt8(ascii: "\"") else { throw error }
      let key = try string()
      guard take(UInt8(ascii: ":")) else { throw error }
      fields.append(JSONValue.Field(key: key, value: try value(depth: depth)))
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw error }
    return fields
  }

  private mutating func elements(depth: Int) throws(JSONSyntaxError) -> [JSONValue] {
    index += 1
    var elements: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return elements }
    repeat { elements.append(try value(depth: depth)) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw error }
    return elements
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    let end = index + word.utf8CodeUnitCount
    guard end <= text.count,
      text[index..<end].elementsEqual(UnsafeRawBufferPointer(start: word.utf8Start, count: end - index))
    else { throw error }
    index = end
    return value
  }

  private mutating func number() throws(JSONSyntaxError) -> JSONValue {
    let start = index
    while index < text.count, text[index].isOfNumber { index += 1 }
    let digits = String(decoding: text[start..<index], as: UTF8.self)
    if let integer = Int(digits) { return .integer(integer) }
    guard let number = Double(digits), number.isFinite else { throw JSONSyntaxError(offset: start) }
    return .number(number)
  }

  /// Stands at the opening quote.
  private mutating func string() throws(JSONSyntaxError) -> String {
    let start = index + 1
    index = start
    while index < text.count, text[index] != UInt8(ascii: "\""), text[index] != UInt8(ascii: "\\") {
      guard text[index] >= 0x20 else { throw error }
      index += 1
    }
    if index < text.count, text[index] == UInt8(ascii: "\\") { return try escapedString(from: start) }
    guard index < text.count, let string = String(validating: text[start..<index], as: UTF8.self) else {
      throw JSONSyntaxError(offset: start)
    }
    index += 1
    return string
  }

  /// Stands at the first backslash.
  private mutating func escapedString(from start: Int) throws(JSONSyntaxError) -> String {
    var bytes = Array(text[start..<index])
    while index < text.count, text[index] != UInt8(ascii: "\"") {
      guard text[index] >= 0x20 else { throw error }
      if text[index] == UInt8(ascii: "\\") {
        try escape(into: &bytes)
      } else {
        bytes.append(text[index])
        index += 1
      }
    }
    guard index < text.count, let string = String(validating: bytes, as: UTF8.self) else {
      throw JSONSyntaxError(offset: start)
    }
    index += 1
    return string
  }

  private mutating func escape(into bytes: inout [UInt8]) throws(JSONSyntaxError) {
    guard index + 1 < text.count else { throw error }
    let kind = text[index + 1]
    index += 2
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(kind)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0C)
    case UInt8(ascii: "n"): bytes.append(0x0A)
    case UInt8(ascii: "r"): bytes.append(0x0D)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"):
      var units = [try codeUnit()]
      if 0xD800..<0xDC00 ~= units[0], index + 1 < text.count, text[index] == UInt8(ascii: "\\"),
        text[index + 1] == UInt8(ascii: "u")
      {
        let back = index
        index += 2
        units.append(try codeUnit())
        if !(0xDC00..<0xE000 ~= units[1]) {
          units.removeLast()
          index = back
        }
      }
      bytes += String(decoding: units, as: UTF16.self).utf8
    default: throw error
    }
  }

  private mutating func codeUnit() throws(JSONSyntaxError) -> UInt16 {
    guard index + 4 <= text.count, text[index..<index + 4].allSatisfy(\.isHexDigit),
      let unit = UInt16(String(decoding: text[index..<index + 4], as: UTF8.self), radix: 16)
    else { throw error }
    index += 4
    return unit
  }
}

extension UInt8 {
  fileprivate var isHexDigit: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }

  fileprivate var isOfNumber: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
      UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }
}
