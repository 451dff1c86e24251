import Foundation

extension PreTokenizer {
  /// Hands `text` on, in normal form C if these rules want it.
  ///
  /// - Parameter text: Valid UTF-8.
  func withNormalized<Result>(
    _ text: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result {
    guard normalizesText else { return body(text) }
    let original = String(decoding: text, as: UTF8.self)
    guard !original.unicodeScalars.allSatisfy(Self.isUntouched) else { return body(text) }
    var normalized = original.precomposedStringWithCanonicalMapping
    return normalized.withUTF8(body)
  }

  /// Whether text of such scalars alone is in normal form C: most scripts, and a test that costs little.
  private static func isUntouched(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x400..<0x483, 0x3000..<0x3099, 0x309B..<0xA000, 0xAC00..<0xD7A4, 0xFF00..<0xFFF0,
      0x1F000..<0x20000:
      true
    default: false
    }
  }
}
