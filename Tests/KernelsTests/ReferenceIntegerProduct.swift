import Kernels

/// A row by a matrix in integers up to `greatest`, in plain words: activations rounded in blocks of 32, integers added
/// exactly, blocks in order.
func referenceIntegerProduct(
  _ x: some Collection<Float>, greatest: Float, _ bytes: [UInt8], format: TensorFormat, rows: Int
) -> [Float] {
  let x = Array(x)
  let blocks = stride(from: 0, to: x.count, by: 32).map { ReferenceBlock(x[$0..<$0 + 32], greatest: greatest) }
  return (0..<rows).map { row in
    blocks.enumerated().reduce(Float(0)) { sum, block in
      let start = (row * blocks.count + block.offset) * format.bytesPerBlock
      let weights = ReferenceQuants(bytes[start..<start + format.bytesPerBlock], format: format)
      let dot = zip(weights.quants, block.element.quants).reduce(0) { $0 + $1.0 * $1.1 }
      let scaled = sum.addingProduct(Float(dot), weights.scale * block.element.scale)
      return weights.minimum.map { scaled.addingProduct($0, block.element.sum) } ?? scaled
    }
  }
}

/// 32 activations: a scale, and integers.
private struct ReferenceBlock {
  let scale: Float
  let quants: [Int]
  var sum: Float { Float(quants.reduce(0, +)) * scale }

  init(_ x: ArraySlice<Float>, greatest: Float) {
    let most = x.map(abs).max()!
    scale = most < 0x1p-100 ? 0 : most / greatest
    quants = x.map { most < 0x1p-100 ? 0 : Int(($0 * (greatest / most)).rounded(.toNearestOrEven)) }
  }
}

/// A block of Q4_0, Q4_1, Q5_0 or Q8_0: weight = `quant · scale + minimum`.
private struct ReferenceQuants {
  let scale: Float
  let minimum: Float?
  let quants: [Int]

  init(_ block: ArraySlice<UInt8>, format: TensorFormat) {
    let block = Array(block)
    let half = { (index: Int) in Float(Float16(bitPattern: UInt16(block[index]) | UInt16(block[index + 1]) << 8)) }
    scale = half(0)
    if format == .q8_0 {
      minimum = nil
      quants = block[2...].map { Int(Int8(bitPattern: $0)) }
    } else if format == .q5_0 {
      minimum = nil
      quants = (0..<32).map { index in
        let low = Int(block[6 + index % 16] >> (index < 16 ? 0 : 4) & 15)
        return low + Int(block[2 + index / 8] >> (index % 8) & 1) * 16 - 16
      }
    } else {
      minimum = format == .q4_1 ? half(2) : -8 * scale
      let nibbles = block[(format == .q4_1 ? 4 : 2)...]
      quants = nibbles.map { Int($0 & 15) } + nibbles.map { Int($0 >> 4) }
    }
  }
}
