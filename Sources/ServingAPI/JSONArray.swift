/// Where the elements of a JSON array lie in its bytes.
package struct JSONArray: Sendable {
  package let elements: [Range<Int>]

  /// - Parameter limit: Elements after this many are not looked at.
  /// - Throws: If `bytes` do not begin with a JSON array.
  package init(scanning bytes: UnsafeRawBufferPointer, limit: Int = .max) throws(JSONSyntaxError) {
    var scanner = JSONScanner(bytes)
    scanner.skipWhitespace()
    try scanner.expect(UInt8(ascii: "["), "an array")
    scanner.skipWhitespace()
    var elements: [Range<Int>] = []
    while scanner.current != UInt8(ascii: "]") || !elements.isEmpty {
      let start = scanner.position
      try scanner.skipValue()
      elements.append(start..<scanner.position)
      scanner.skipWhitespace()
      guard scanner.current == UInt8(ascii: ","), elements.count < limit else { break }
      try scanner.expect(UInt8(ascii: ","), "a comma")
      scanner.skipWhitespace()
    }
    if elements.count < limit { try scanner.expect(UInt8(ascii: "]"), "a comma or ]") }
    self.elements = elements
  }
}
