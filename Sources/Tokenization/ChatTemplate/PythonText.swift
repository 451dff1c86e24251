/// Python's `str`, where it differs from Swift's: it counts code points, and compares and searches them literally.
enum PythonText {
  // MARK: - Whitespace

  static func isWhitespace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
  }

  /// The bytes of the whitespace character that UTF-8 `bytes` start with, or nil.
  static func whitespaceLength(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard let first = bytes.first else { return nil }
    if first < 0x80 { return (0x09...0x0D).contains(first) || (0x1C...0x20).contains(first) ? 1 : nil }
    var decoder = bytes.prefix(4).makeIterator()
    var codec = UTF8()
    guard case .scalarValue(let scalar) = codec.decode(&decoder), isWhitespace(scalar) else { return nil }
    return String(Character(scalar)).utf8.count
  }

  /// - Parameter characters: What to take off the ends: whitespace when nil.
  static func strip(
    _ text: String, _ characters: String? = nil, leading: Bool = true, trailing: Bool = true
  ) -> String {
    let set = characters.map { Set($0.unicodeScalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isWhitespace(scalar) }
    var rest = Substring(text).unicodeScalars
    if leading { rest = rest.drop(while: goes) }
    if trailing {
      while let last = rest.last, goes(last) { rest.removeLast() }
    }
    return String(rest)
  }

  // MARK: - Searching

  /// The byte offset of `part` at or behind `start`.
  static func find(_ part: String, in text: String, from start: Int = 0) -> Int? {
    find(Array(part.utf8), in: Array(text.utf8), from: start)
  }

  static func find(_ part: [UInt8], in text: [UInt8], from start: Int = 0) -> Int? {
    guard let first = part.first else { return start <= text.count ? start : nil }
    var place = start
    while place + part.count <= text.count {
      if text[place] == first, text[place..<(place + part.count)].elementsEqual(part) { return place }
      place += 1
    }
    return nil
  }

  static func findLast(_ part: [UInt8], in text: [UInt8], upTo end: Int) -> Int? {
    var place = end - part.count
    while place >= 0 {
      if text[place..<(place + part.count)].elementsEqual(part) { return place }
      place -= 1
    }
    return nil
  }

  static func count(_ part: String, in text: String) -> Int {
    guard !part.isEmpty else { return text.unicodeScalars.count + 1 }
    return split(text, by: part, limit: nil).count - 1
  }

  static func replace(_ old: String, with new: String, in text: String, limit: Int?) -> String {
    guard old.isEmpty else { return split(text, by: old, limit: limit).joined(separator: new) }
    var result = ""
    var left = limit ?? .max
    for scalar in text.unicodeScalars {
      if left > 0 {
        result += new
        left -= 1
      }
      result.unicodeScalars.append(scalar)
    }
    return left > 0 ? result + new : result
  }

  // MARK: - Splitting

  /// - Precondition: `separator` is not empty.
  static func split(_ text: String, by separator: String, limit: Int?) -> [String] {
    let bytes = Array(text.utf8)
    let part = Array(separator.utf8)
    var pieces: [String] = []
    var start = 0
    while pieces.count < limit ?? .max, let place = find(part, in: bytes, from: start) {
      pieces.append(String(decoding: bytes[start..<place], as: UTF8.self))
      start = place + part.count
    }
    return pieces + [String(decoding: bytes[start...], as: UTF8.self)]
  }

  /// From the right.
  static func splitBackwards(_ text: String, by separator: String, limit: Int?) -> [String] {
    let bytes = Array(text.utf8)
    let part = Array(separator.utf8)
    var pieces: [String] = []
    var end = bytes.count
    while pieces.count < limit ?? .max, let place = findLast(part, in: bytes, upTo: end) {
      pieces.append(String(decoding: bytes[(place + part.count)..<end], as: UTF8.self))
      end = place
    }
    return [String(decoding: bytes[..<end], as: UTF8.self)] + pieces.reversed()
  }

  /// At runs of whitespace; the last piece keeps its whitespace once `limit` is reached.
  static func words(_ text: String, limit: Int? = nil) -> [String] {
    var words: [String] = []
    var rest = Substring(text).unicodeScalars.drop(while: isWhitespace)
    while !rest.isEmpty {
      guard words.count < limit ?? .max else {
        return words + [String(rest)]
      }
      let word = rest.prefix { !isWhitespace($0) }
      words.append(String(word))
      rest = rest[word.endIndex...].drop(while: isWhitespace)
    }
    return words
  }

  /// As `str.splitlines`: at every kind of line end, `\r\n` being one.
  static func lines(_ text: String) -> [String] {
    let ends: Set<UInt32> = [0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029]
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var isOpen = false
    var previous: Unicode.Scalar?
    for scalar in text.unicodeScalars {
      defer { previous = scalar }
      if scalar == "\n", previous == "\r" { continue }
      isOpen = !ends.contains(scalar.value)
      if isOpen {
        line.append(scalar)
      } else {
        lines.append(String(line))
        line = String.UnicodeScalarView()
      }
    }
    return isOpen ? lines + [String(line)] : lines
  }

  // MARK: - Case

  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping + String(text.unicodeScalars.dropFirst()).lowercased()
  }

  /// As `str.title`: a letter behind a letter is small.
  static func titled(_ text: String) -> String {
    var result = ""
    var isBehindLetter = false
    for scalar in text.unicodeScalars {
      result += isBehindLetter ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      isBehindLetter = scalar.properties.isCased
    }
    return result
  }

  // MARK: - Python's repr

  /// The shortest digits that read back the same, laid out as Python's `repr` does: exponents below -4 and from 16.
  static func float(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let sign = value.sign == .minus ? "-" : ""
    let parts = value.magnitude.description.split(separator: "e")
    let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    var digits = mantissa[0] + (mantissa.count > 1 ? mantissa[1] : "")
    // The decimal point stands behind `point` of the digits.
    var point = mantissa[0].count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    while digits.count > 1, digits.first == "0" {
      digits.removeFirst()
      point -= 1
    }
    while digits.count > 1, digits.last == "0" { digits.removeLast() }
    if digits == "0" { return sign + "0.0" }
    if point > 16 || point < -3 {
      let exponent = point - 1
      let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
      let power = String(exponent.magnitude)
      return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(power.count < 2 ? "0" : "")\(power)"
    }
    if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
    if digits.count <= point { return sign + digits + String(repeating: "0", count: point - digits.count) + ".0" }
    return sign + digits.prefix(point) + "." + digits.dropFirst(point)
  }

  /// In single quotes, unless it has some and no double ones.
  static func quoted(_ text: String) -> String {
    let quote: Unicode.Scalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
    var result = String(Character(quote))
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case quote: result += "\\" + String(Character(quote))
      default:
        if isPrintable(scalar) { result.unicodeScalars.append(scalar) } else { result += escaped(scalar) }
      }
    }
    result.unicodeScalars.append(quote)
    return result
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    if scalar.value < 0x100 { return "\\x" + hexadecimal(scalar.value, digits: 2) }
    return scalar.value < 0x10000
      ? "\\u" + hexadecimal(scalar.value, digits: 4) : "\\U" + hexadecimal(scalar.value, digits: 8)
  }

  static func hexadecimal(_ value: UInt32, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(digits - text.count, 0)) + text
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return (0x20...0x7E).contains(scalar.value) }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }
}
