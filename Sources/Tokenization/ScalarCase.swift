/// Whether a Unicode scalar may stand where Tekken's words are upper case, and where they are lower case. Letters without
/// case and marks may stand in both.
struct ScalarCase: OptionSet {
  let rawValue: UInt8

  /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
  static let upper = ScalarCase(rawValue: 1)
  /// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
  static let lower = ScalarCase(rawValue: 2)

  /// Of Unicode 16, as `ScalarClass`.
  init(_ scalar: Unicode.Scalar) {
    let properties = scalar.properties
    let isNewer = properties.age.map { $0.major > 16 } ?? false
    switch properties.generalCategory {
    case _ where isNewer: self = []
    case .uppercaseLetter, .titlecaseLetter: self = .upper
    case .lowercaseLetter: self = .lower
    case .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark, .enclosingMark: self = [.upper, .lower]
    default: self = []
    }
  }

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Of every scalar below U+10000 (surrogates: none).
  static let basicPlane: [ScalarCase] = (0..<0x10000).map { value in
    Unicode.Scalar(UInt32(value)).map { ScalarCase($0) } ?? []
  }
}
