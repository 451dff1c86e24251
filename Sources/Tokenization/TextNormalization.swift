extension PreTokenizer {
  /// Hands `text` on, in normal form C if these rules want it.
  ///
  /// - Parameter text: Valid UTF-8.
  func withNormalized<Result>(
    _ text: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result {
    guard normalizesText else { return body(text) }
    let original = String(decoding: text, as: UTF8.self)
    guard !original.unicodeScalars.allSatisfy(NormalFormC.isBoundary) else { return body(text) }
    var normalized = NormalFormC.of(original)
    return normalized.withUTF8(body)
  }
}

private enum NormalFormC {
  /// Normalizing takes time that grows with the square of a run of combining marks, so longer ones are cut; nobody
  /// writes a thousand without a boundary that would compose across it.
  private static let longestRun = 1000

  static func of(_ text: String) -> String {
    var result = ""
    var run = String.UnicodeScalarView()
    var marks = 0
    func finishRun() {
      // Foundation's puts marks of one class out of order, such as U+0F7B U+0F72.
      result += marks == 0 ? String(run) : String(decoding: String(run)._nfcCodeUnits, as: UTF8.self)
      run.removeAll(keepingCapacity: true)
      marks = 0
    }
    for scalar in text.unicodeScalars {
      let isBoundary = isBoundary(scalar)
      if isBoundary && marks > 0 || marks == longestRun { finishRun() }
      run.append(scalar)
      if !isBoundary { marks += 1 }
    }
    finishRun()
    return result
  }

  /// Whether a scalar is its own normal form and never composes with what stands before it: most of what people write.
  static func isBoundary(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x400..<0x483, 0x3000..<0x3099, 0x309B..<0xA000, 0xAC00..<0xD7A4, 0xFF00..<0xFFF0,
      0x1F000..<0x20000:
      true
    default: false
    }
  }
}
