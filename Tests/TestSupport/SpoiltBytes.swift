extension [UInt8] {
  /// Makes one change somewhere in `range`: a flipped bit, a wild number, noise, a cut, or bytes taken out.
  package mutating func spoil(in range: Range<Int>, using dice: inout SplitMix64) {
    let range = range.clamped(to: indices)
    guard range.count > 16 else { return }
    let at = Int.random(in: range.lowerBound..<range.upperBound - 8, using: &dice)
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: self[at] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
    case 1: write([.max, 1 << 63, 1 << 32, 0, 1 << 61 + 1].randomElement(using: &dice)!, at: at)
    case 2: write(UInt64.random(in: 0..<1000, using: &dice), at: at)
    case 3: for index in at..<at + 8 { self[index] = UInt8.random(in: .min ... .max, using: &dice) }
    case 4: removeSubrange(at...)
    default: removeSubrange(at..<at + Int.random(in: 1..<8, using: &dice))
    }
  }

  private mutating func write(_ value: UInt64, at offset: Int) {
    Swift.withUnsafeBytes(of: value.littleEndian) { replaceSubrange(offset..<offset + 8, with: $0) }
  }
}
