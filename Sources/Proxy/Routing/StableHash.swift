/// A 64-bit hash that is the same in every process, so that proxies agree. Not for keys of a table that a stranger must
/// not be able to make collide: who does so only spoils his own routing.
package enum StableHash {
  /// SplitMix64's finaliser (Steele, Lea & Flood 2014): every bit of the result depends on every bit of `value`.
  package static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// - Parameter seed: What comes before the bytes: the hash of a text in parts is a chain.
  package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    var state = seed ^ UInt64(truncatingIfNeeded: bytes.count)
    var offset = 0
    if bytes.count >= 32 {
      // Four chains side by side, because one would wait for its own multiplications.
      var (a, b, c, d) = (state, ~state, state &+ golden, state &- golden)
      while offset + 32 <= bytes.count {
        (a, b) = (step(a, bytes, offset), step(b, bytes, offset + 8))
        (c, d) = (step(c, bytes, offset + 16), step(d, bytes, offset + 24))
        offset += 32
      }
      state = mix(mix(mix(a) ^ b) ^ c) ^ d
    }
    while offset + 8 <= bytes.count {
      state = step(state, bytes, offset)
      offset += 8
    }
    while offset < bytes.count {
      state = (state ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01B3
      offset += 1
    }
    return mix(state)
  }

  private static let golden: UInt64 = 0x9E37_79B9_7F4A_7C15

  private static func step(_ state: UInt64, _ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    let product = (state ^ word) &* golden
    return product ^ (product >> 29)
  }

  package static func hash(_ text: String, seed: UInt64 = 0) -> UInt64 {
    var text = text
    return text.withUTF8 { hash(UnsafeRawBufferPointer($0), seed: seed) }
  }
}
