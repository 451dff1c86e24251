import Kernels

/// ggml's block formats, written once more from `ggml-common.h` and `ggml-quants.c`: what the C code must equal.
func referenceDequantize(_ bytes: [UInt8], format: TensorFormat) -> [Float] {
  stride(from: 0, to: bytes.count, by: format.bytesPerBlock).flatMap { offset in
    ReferenceBlock(bytes: bytes[offset..<offset + format.bytesPerBlock]).weights(format)
  }
}

private struct ReferenceBlock {
  let bytes: ArraySlice<UInt8>

  func byte(_ index: Int) -> UInt8 { bytes[bytes.startIndex + index] }

  func word(_ index: Int, bytes count: Int) -> UInt32 {
    (0..<count).reduce(0) { $0 | UInt32(byte(index + $1)) << (8 * UInt32($1)) }
  }

  func half(_ index: Int) -> Float { Float(Float16(bitPattern: UInt16(word(index, bytes: 2)))) }

  func weights(_ format: TensorFormat) -> [Float] {
    switch format {
    case .f32: [Float(bitPattern: word(0, bytes: 4))]
    case .f16: [half(0)]
    case .bf16: [Float(bitPattern: word(0, bytes: 2) << 16)]
    case .q4_0: (0..<32).map { Float(nibble(2, $0) - 8) * half(0) }
    case .q4_1: (0..<32).map { Float(nibble(4, $0)) * half(0) + half(2) }
    case .q5_0: (0..<32).map { Float(nibble(6, $0) + fifthBit(2, $0) - 16) * half(0) }
    case .q5_1: (0..<32).map { Float(nibble(8, $0) + fifthBit(4, $0)) * half(0) + half(2) }
    case .q8_0: (0..<32).map { Float(Int8(bitPattern: byte(2 + $0))) * half(0) }
    case .q4_K: (0..<256).map { scaled($0, quant: superNibble(16, $0)) }
    case .q5_K:
      (0..<256).map { scaled($0, quant: superNibble(48, $0) + Int(byte(16 + $0 % 32) >> ($0 / 32) & 1) * 16) }
    case .q6_K: (0..<256).map(sixBit)
    }
  }

  /// Weights 0–15 in the low halves of 16 bytes, 16–31 in the high halves.
  private func nibble(_ start: Int, _ i: Int) -> Int { Int(i < 16 ? byte(start + i) & 15 : byte(start + i - 16) >> 4) }

  private func fifthBit(_ start: Int, _ i: Int) -> Int { Int(word(start, bytes: 4) >> UInt32(i) & 1) << 4 }

  /// Of a block of 256: 32 bytes hold 32 weights in their low halves and the next 32 in their high halves.
  private func superNibble(_ start: Int, _ i: Int) -> Int {
    let byte = byte(start + i / 64 * 32 + i % 32)
    return Int(i % 64 < 32 ? byte & 15 : byte >> 4)
  }

  /// Q4_K and Q5_K: six-bit scales and minima of eight sub-blocks in twelve bytes.
  private func scaled(_ i: Int, quant: Int) -> Float {
    let j = i / 32
    let (scale, minimum): (UInt8, UInt8) =
      j < 4
      ? (byte(4 + j) & 63, byte(8 + j) & 63)
      : (byte(8 + j) & 15 | (byte(j) >> 6) << 4, byte(8 + j) >> 4 | (byte(4 + j) >> 6) << 4)
    return half(0) * Float(scale) * Float(quant) - half(2) * Float(minimum)
  }

  private func sixBit(_ i: Int) -> Float {
    let (part, quarter, l) = (i / 128, i % 128 / 32, i % 32)
    let low = byte(part * 64 + (quarter & 1) * 32 + l) >> (quarter < 2 ? 0 : 4) & 15
    let high = byte(128 + part * 32 + l) >> (2 * quarter) & 3
    let scale = Float(Int8(bitPattern: byte(192 + i / 16)))
    return half(208) * scale * Float(Int(low | high << 4) - 32)
  }
}
