/// GPT-2's way to write any bytes as visible text: printable Latin-1 stands for itself, the other 68 bytes for U+0100
/// and on, in their order; so `Ġ` is a space.
enum ByteLevelAlphabet {
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (UInt8.min...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(byte)
      default:
        defer { next += 1 }
        return Unicode.Scalar(next) ?? "\u{FFFD}"
      }
    }
  }()

  private static let byteOfScalar: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
    return bytes
  }()

  /// The bytes that `text` writes; its own UTF-8 if a scalar is not of the alphabet.
  static func bytes(of text: Substring.UnicodeScalarView) -> [UInt8] {
    let byteOfScalar = byteOfScalar
    var bytes: [UInt8] = []
    for scalar in text {
      guard scalar.value < 0x144, let byte = byteOfScalar[Int(scalar.value)] else {
        return Array(String(text).utf8)
      }
      bytes.append(byte)
    }
    return bytes
  }
}
