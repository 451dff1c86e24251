/// Where the top-level fields of a JSON object lie in its bytes, from one validating scan. The bytes themselves stay with
/// the caller, who hands the same ones in again: nothing is decoded that nobody asks for.
package struct JSONObject: Sendable {
  package struct Field: Sendable, Equatable {
    package var name: String
    /// The name with its quotes.
    package var key: Range<Int>
    package var value: Range<Int>
  }

  /// In the order of the text, with repetitions.
  package let fields: [Field]
  private static let mostFields = 4096
  /// Just after the opening brace.
  private let bodyStart: Int

  /// - Throws: If `bytes` are not exactly one JSON object, valid to the last byte (a byte order mark is not).
  package init(scanning bytes: UnsafeRawBufferPointer) throws(JSONSyntaxError) {
    var scanner = JSONScanner(bytes)
    scanner.skipWhitespace()
    try scanner.expect(UInt8(ascii: "{"), "an object")
    bodyStart = scanner.position
    var fields: [Field] = []
    scanner.skipWhitespace()
    if scanner.current != UInt8(ascii: "}") {
      while true {
        guard fields.count < Self.mostFields else { throw scanner.failure("at most \(Self.mostFields) fields") }
        fields.append(try Self.scanField(&scanner))
        scanner.skipWhitespace()
        guard scanner.current == UInt8(ascii: ",") else { break }
        try scanner.expect(UInt8(ascii: ","), "a comma")
        scanner.skipWhitespace()
      }
    }
    try scanner.expect(UInt8(ascii: "}"), "a comma or }")
    scanner.skipWhitespace()
    guard scanner.isAtEnd else { throw scanner.failure("the end") }
    self.fields = fields
  }

  private static func scanField(_ scanner: inout JSONScanner) throws(JSONSyntaxError) -> Field {
    let keyStart = scanner.position
    guard scanner.current == UInt8(ascii: "\"") else { throw scanner.failure("a quoted key") }
    try scanner.skipString()
    let key = keyStart..<scanner.position
    scanner.skipWhitespace()
    try scanner.expect(UInt8(ascii: ":"), "a colon")
    scanner.skipWhitespace()
    let valueStart = scanner.position
    try scanner.skipValue()
    let name = decodeJSONString(UnsafeRawBufferPointer(rebasing: scanner.bytes[key]))
    return Field(name: name, key: key, value: valueStart..<scanner.position)
  }

  /// The value of `name`; of several the last, as Python reads them.
  package func value(of name: String) -> Range<Int>? { fields.last { $0.name == name }?.value }

  /// Writes the object with `edits` made and every other byte as it was: order, spaces, unknown and repeated fields.
  /// A field that is edited leaves at all its places and stands once, where it last stood, or at the end if it is new.
  package func edited(
    _ bytes: UnsafeRawBufferPointer, _ edits: [JSONEdit], into write: (UnsafeRawBufferPointer) -> Void
  ) {
    let lastPlaces = edits.map { edit in fields.lastIndex { $0.name == edit.name } }
    var isFirst = true
    var copied = bodyStart
    if let first = fields.first { copied = first.key.lowerBound }
    write(UnsafeRawBufferPointer(rebasing: bytes[..<copied]))
    for (index, field) in fields.enumerated() {
      let number = edits.firstIndex { $0.name == field.name }
      let edit = number.map { edits[$0] }
      if let number, lastPlaces[number] != index || edits[number].newValue == nil { continue }
      if !isFirst, index > 0 {
        write(UnsafeRawBufferPointer(rebasing: bytes[fields[index - 1].value.upperBound..<field.key.lowerBound]))
      }
      isFirst = false
      if let value = edit?.newValue {
        write(UnsafeRawBufferPointer(rebasing: bytes[field.key.lowerBound..<field.value.lowerBound]))
        value.withUnsafeBytes(write)
      } else {
        write(UnsafeRawBufferPointer(rebasing: bytes[field.key.lowerBound..<field.value.upperBound]))
      }
    }
    for (edit, place) in zip(edits, lastPlaces) where place == nil {
      guard case .set(let value) = edit.change else { continue }
      Array("\(isFirst ? "" : ",")\"\(edit.name)\":".utf8).withUnsafeBytes(write)
      value.withUnsafeBytes(write)
      isFirst = false
    }
    let end = fields.last?.value.upperBound ?? bodyStart
    write(UnsafeRawBufferPointer(rebasing: bytes[end...]))
  }
}

/// One change to a top-level field. Values are JSON texts, put in as they are.
package struct JSONEdit: Sendable {
  package enum Change: Sendable {
    /// Whether it was there or not.
    case set([UInt8])
    /// Only if it was there.
    case replace([UInt8])
    case remove
  }

  /// Plain ASCII without quotes.
  package var name: String
  package var change: Change

  package static func set(_ name: String, _ json: String) -> JSONEdit {
    JSONEdit(name: name, change: .set(Array(json.utf8)))
  }
  package static func set(_ name: String, _ json: [UInt8]) -> JSONEdit { JSONEdit(name: name, change: .set(json)) }
  package static func replace(_ name: String, _ json: String) -> JSONEdit {
    JSONEdit(name: name, change: .replace(Array(json.utf8)))
  }
  package static func replace(_ name: String, _ json: [UInt8]) -> JSONEdit {
    JSONEdit(name: name, change: .replace(json))
  }
  package static func remove(_ name: String) -> JSONEdit { JSONEdit(name: name, change: .remove) }

  var newValue: [UInt8]? {
    switch change {
    case .set(let value), .replace(let value): value
    case .remove: nil
    }
  }
}

/// The text between the quotes of a valid JSON string. A lone surrogate becomes U+FFFD.
package func decodeJSONString(_ quoted: UnsafeRawBufferPointer) -> String {
  let text = UnsafeRawBufferPointer(rebasing: quoted.dropFirst().dropLast())
  guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
  var units: [UInt16] = []
  var index = text.startIndex
  while index < text.endIndex {
    guard text[index] == UInt8(ascii: "\\") else {
      let end = text[index...].firstIndex(of: UInt8(ascii: "\\")) ?? text.endIndex
      units.append(contentsOf: String(decoding: text[index..<end], as: UTF8.self).utf16)
      index = end
      continue
    }
    switch text[index + 1] {
    case UInt8(ascii: "u"):
      units.append(UInt16(String(decoding: text[(index + 2)..<(index + 6)], as: UTF8.self), radix: 16) ?? 0xFFFD)
      index += 4
    case UInt8(ascii: "b"): units.append(0x08)
    case UInt8(ascii: "f"): units.append(0x0C)
    case UInt8(ascii: "n"): units.append(0x0A)
    case UInt8(ascii: "r"): units.append(0x0D)
    case UInt8(ascii: "t"): units.append(0x09)
    case let other: units.append(UInt16(other))
    }
    index += 2
  }
  return String(decoding: units, as: UTF16.self)
}
