/// The byte patterns of UTF-8.
enum UTF8Sequence {
  /// Bytes of the sequence that `lead` begins in valid UTF-8.
  static func byteCount(lead: UInt8) -> Int {
    switch lead {
    case 0xF0...: 4
    case 0xE0...: 3
    case 0xC0...: 2
    default: 1
    }
  }

  /// How many bytes at the end of `bytes` may be the beginning of a character whose rest is still to come: 0 to 3.
  ///
  /// What lies before them reads the same whatever follows, so it can be decoded by itself.
  static func incompleteSuffixCount(_ bytes: [UInt8]) -> Int {
    for count in stride(from: min(3, bytes.count), to: 0, by: -1)
    where isProperPrefix(bytes[(bytes.count - count)...]) {
      return count
    }
    return 0
  }

  /// Whether bytes can follow that make one character of all of them (Unicode 16, table 3-7).
  private static func isProperPrefix(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard let lead = bytes.first, (0xC2...0xF4).contains(lead), bytes.count < byteCount(lead: lead) else {
      return false
    }
    let rest = bytes.dropFirst()
    guard let second = rest.first else { return true }
    let validSeconds: ClosedRange<UInt8> =
      switch lead {
      case 0xE0: 0xA0...0xBF
      case 0xED: 0x80...0x9F
      case 0xF0: 0x90...0xBF
      case 0xF4: 0x80...0x8F
      default: 0x80...0xBF
      }
    return validSeconds.contains(second) && rest.dropFirst().allSatisfy { (0x80...0xBF).contains($0) }
  }
}
