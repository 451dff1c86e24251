/// What the pre-tokenizers' regular expressions can tell apart in a Unicode scalar.
enum ScalarClass: UInt8 {
  /// `\p{L}`
  case letter
  /// `\p{N}`
  case number
  /// `[\r\n]`
  case newline
  /// The rest of `\s`
  case space
  /// `[^\s\p{L}\p{N}]`
  case other

  var isWhitespace: Bool { self == .space || self == .newline }

  /// Of Unicode 16, as the Oniguruma in Hugging Face's tokenizers 0.23 has it: what Unicode 17 and later assign is
  /// `other`, so that a newer Swift does not split words otherwise than the reference does.
  init(_ scalar: Unicode.Scalar) {
    let properties = scalar.properties
    if properties.isWhitespace {
      self = scalar == "\r" || scalar == "\n" ? .newline : .space
      return
    }
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = .other
    }
    if self != .other, let age = properties.age, age.major > 16 { self = .other }
  }

  /// Of every scalar below U+10000 (surrogates: other), because a look at the properties is 20 times slower.
  static let basicPlane: [ScalarClass] = (0..<0x10000).map { value in
    Unicode.Scalar(UInt32(value)).map(ScalarClass.init) ?? .other
  }
}

/// Reads the classes of the scalars of valid UTF-8, front to back.
struct ScalarReader {
  let text: UnsafeBufferPointer<UInt8>
  private let basicPlane = ScalarClass.basicPlane

  init(_ text: UnsafeBufferPointer<UInt8>) {
    self.text = text
  }

  /// - Parameter index: Of a scalar's first byte.
  /// - Returns: The scalar's class, and the index after its last byte.
  @inline(__always)
  func scalar(at index: Int) -> (kind: ScalarClass, end: Int) {
    let (value, end) = value(at: index)
    if value < 0x10000 { return (basicPlane[Int(value)], end) }
    return (Unicode.Scalar(value).map(ScalarClass.init) ?? .other, end)
  }

  /// nil at the end of the text.
  func letterCase(at index: Int) -> (letterCase: ScalarCase, end: Int)? {
    guard index < text.count else { return nil }
    let (value, end) = value(at: index)
    if value < 0x10000 { return (ScalarCase.basicPlane[Int(value)], end) }
    return (Unicode.Scalar(value).map { ScalarCase($0) } ?? [], end)
  }

  @inline(__always)
  private func value(at index: Int) -> (value: UInt32, end: Int) {
    let lead = UInt32(text[index])
    if lead < 0x80 { return (lead, index + 1) }
    let second = UInt32(text[index + 1]) & 0x3F
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, index + 2) }
    let third = UInt32(text[index + 2]) & 0x3F
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, index + 3) }
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[index + 3]) & 0x3F, index + 4)
  }

  /// The end of the longest run of `kind` that begins at `start`; `start` itself if there is none.
  func endOfRun(of kind: ScalarClass, from start: Int, atMost limit: Int = .max) -> Int {
    var (end, count) = (start, 0)
    while end < text.count, count < limit {
      let (next, nextEnd) = scalar(at: end)
      guard next == kind else { break }
      end = nextEnd
      count += 1
    }
    return end
  }
}
