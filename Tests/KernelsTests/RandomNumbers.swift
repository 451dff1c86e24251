import Kernels
import TestSupport

extension SplitMix64 {
  mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }

  /// Whole blocks of random quants. Scales are random halves of at most `largestScale`, subnormal ones among them.
  mutating func blocks(_ format: TensorFormat, count: Int, largestScale: Float16 = 0.0625) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<count / format.blockElements {
      var block = (0..<format.bytesPerBlock).map { _ in UInt8.random(in: .min ... .max, using: &self) }
      for offset in format.halfOffsets { put(half(atMost: largestScale), at: offset, in: &block) }
      if format == .f32 { withUnsafeBytes(of: Float.random(in: -1...1, using: &self)) { block = Array($0) } }
      if format == .bf16 {
        let bits = Float.random(in: -1...1, using: &self).bitPattern
        block = [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24)]
      }
      bytes += block
    }
    return bytes
  }

  private mutating func half(atMost largest: Float16) -> UInt16 {
    let bits = UInt16.random(in: 0...largest.bitPattern, using: &self)
    return Bool.random(using: &self) ? bits | 0x8000 : bits
  }

  private func put(_ half: UInt16, at offset: Int, in block: inout [UInt8]) {
    block[offset] = UInt8(truncatingIfNeeded: half)
    block[offset + 1] = UInt8(truncatingIfNeeded: half >> 8)
  }
}

extension TensorFormat {
  /// Where a block has its half-precision scales and minima (or its number).
  var halfOffsets: [Int] {
    switch self {
    case .f32, .bf16: []
    case .f16, .q4_0, .q5_0, .q8_0: [0]
    case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
    case .q6_K: [208]
    }
  }
}
