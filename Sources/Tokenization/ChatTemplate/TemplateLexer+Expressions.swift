extension TemplateLexer {
  private static let symbols = [
    "**", "//", "==", "!=", ">=", "<=",
    "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
  ]
  private static let closing = ["(": ")", "[": "]", "{": "}"]

  /// Reads the inside of a tag, and its end delimiter. A delimiter inside brackets is no delimiter: `{{ {'a': {}} }}`.
  mutating func readExpressionTokens(until end: String, at start: TemplatePosition) throws(TemplateError) {
    var open: [String] = []
    while true {
      offset = endOfWhitespace(from: offset)
      guard offset < source.count else {
        throw .syntax("the tag is never closed with \(end)", at: start)
      }
      if open.isEmpty, takeEnd(end) { return }
      let place = position(at: offset)
      let byte = source[offset]
      if isDigit(byte) {
        emit(try number(at: place), at: place)
      } else if isNameStart(byte) {
        emit(.name(takeName()), at: place)
      } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        emit(.string(try quoted(by: byte, at: place)), at: place)
      } else {
        emit(.symbol(try symbol(open: &open, at: place)), at: place)
      }
    }
  }

  private mutating func takeEnd(_ end: String) -> Bool {
    let isBlock = end == "%}"
    if hasPrefix(end, at: offset) {
      offset += 2
      closeTag(sign: 0, trims: isBlock)
    } else if hasPrefix("-" + end, at: offset) {
      offset += 3
      closeTag(sign: UInt8(ascii: "-"), trims: isBlock)
    } else if isBlock, hasPrefix("+" + end, at: offset) {
      offset += 3
      closeTag(sign: UInt8(ascii: "+"), trims: isBlock)
    } else {
      return false
    }
    return true
  }

  private mutating func symbol(open: inout [String], at place: TemplatePosition) throws(TemplateError) -> String {
    guard let symbol = Self.symbols.first(where: { hasPrefix($0, at: offset) }) else {
      let rest = String(decoding: source[offset..<min(offset + 4, source.count)], as: UTF8.self)
      throw .syntax("unexpected character '\(rest.first ?? " ")'", at: place)
    }
    if let closing = Self.closing[symbol] {
      open.append(closing)
    } else if [")", "]", "}"].contains(symbol) {
      guard let expected = open.popLast() else { throw .syntax("unexpected '\(symbol)'", at: place) }
      guard expected == symbol else { throw .syntax("unexpected '\(symbol)', expected '\(expected)'", at: place) }
    }
    offset += symbol.utf8.count
    return symbol
  }

  private mutating func takeName() -> String {
    let start = offset
    while offset < source.count, isNameStart(source[offset]) || isDigit(source[offset]) { offset += 1 }
    return String(decoding: source[start..<offset], as: UTF8.self)
  }

  // MARK: - Numbers

  /// Decimal integers and floats; Jinja's `0x…`, `0o…` and `0b…` are not in the subset.
  private mutating func number(at place: TemplatePosition) throws(TemplateError) -> TemplateToken.Kind {
    let start = offset
    takeDigits()
    var isFloat = false
    if offset + 1 < source.count, source[offset] == UInt8(ascii: "."), isDigit(source[offset + 1]),
      !(start > 0 && source[start - 1] == UInt8(ascii: "."))
    {
      isFloat = true
      offset += 1
      takeDigits()
    }
    isFloat = takeExponent() || isFloat
    let text = String(decoding: source[start..<offset].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    if text == "0", offset < source.count,
      [UInt8(ascii: "x"), UInt8(ascii: "o"), UInt8(ascii: "b")].contains(source[offset] | 0x20)
    {
      throw .unsupported("the number '\(text)\(takeName())'", at: place)
    }
    if isFloat, let value = Double(text) { return .float(value) }
    guard let value = Int(text) else { throw .unsupported("the number '\(text)' (beyond 64 bits)", at: place) }
    return .integer(value)
  }

  private mutating func takeDigits() {
    while offset < source.count,
      isDigit(source[offset])
        || source[offset] == UInt8(ascii: "_") && offset + 1 < source.count && isDigit(source[offset + 1])
    { offset += 1 }
  }

  private mutating func takeExponent() -> Bool {
    guard offset < source.count, source[offset] | 0x20 == UInt8(ascii: "e") else { return false }
    var place = offset + 1
    if place < source.count, source[place] == UInt8(ascii: "+") || source[place] == UInt8(ascii: "-") { place += 1 }
    guard place < source.count, isDigit(source[place]) else { return false }
    offset = place
    takeDigits()
    return true
  }

  // MARK: - Quoted text

  private mutating func quoted(by quote: UInt8, at place: TemplatePosition) throws(TemplateError) -> String {
    var bytes: [UInt8] = []
    offset += 1
    while offset < source.count {
      let byte = source[offset]
      offset += 1
      if byte == quote { return String(decoding: bytes, as: UTF8.self) }
      if byte == UInt8(ascii: "\\"), offset < source.count {
        try readEscape(into: &bytes, at: place)
      } else {
        bytes.append(byte)
      }
    }
    throw .syntax("the text is never closed with \(quote == UInt8(ascii: "'") ? "'" : "\"")", at: place)
  }

  /// Python's escapes. An unknown one stands for itself, backslash and all. `offset` is behind the backslash.
  private mutating func readEscape(into bytes: inout [UInt8], at place: TemplatePosition) throws(TemplateError) {
    let byte = source[offset]
    offset += 1
    switch byte {
    case UInt8(ascii: "\n"): break
    case UInt8(ascii: "n"): bytes.append(0x0A)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "r"): bytes.append(0x0D)
    case UInt8(ascii: "a"): bytes.append(0x07)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0C)
    case UInt8(ascii: "v"): bytes.append(0x0B)
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): bytes.append(byte)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      offset -= 1
      try appendScalar(radix: 8, digits: 1...3, to: &bytes, at: place)
    case UInt8(ascii: "x"): try appendScalar(radix: 16, digits: 2...2, to: &bytes, at: place)
    case UInt8(ascii: "u"): try appendScalar(radix: 16, digits: 4...4, to: &bytes, at: place)
    case UInt8(ascii: "U"): try appendScalar(radix: 16, digits: 8...8, to: &bytes, at: place)
    case UInt8(ascii: "N"): throw .unsupported("the escape \\N", at: place)
    default: bytes += [UInt8(ascii: "\\"), byte]
    }
  }

  private mutating func appendScalar(
    radix: Int, digits: ClosedRange<Int>, to bytes: inout [UInt8], at place: TemplatePosition
  ) throws(TemplateError) {
    let start = offset
    while offset < source.count, offset - start < digits.upperBound,
      Character(Unicode.Scalar(source[offset])).hexDigitValue.map({ $0 < radix }) == true
    { offset += 1 }
    let text = String(decoding: source[start..<offset], as: UTF8.self)
    guard text.utf8.count >= digits.lowerBound, let value = UInt32(text, radix: radix),
      let scalar = Unicode.Scalar(value)
    else { throw .syntax("the escape '\(text)' is no character", at: place) }
    bytes += Array(String(Character(scalar)).utf8)
  }

  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private func isNameStart(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}
