import Kernels
import ModelFiles
import Models
import TestSupport
import Testing

/// Random blocks of a format that decode to weights of a sensible size, and the weights.
private func randomMatrix(
  _ tensor: TinyModel.Tensor, _ format: TensorFormat
) -> (bytes: [UInt8], values: [Float]) {
  var dice = SplitMix64(seed: UInt64(tensor.values[0].bitPattern))
  var bytes: [UInt8] = []
  for _ in 0..<tensor.values.count / format.blockElements { bytes += randomBlock(format, &dice) }
  let values = [Float](unsafeUninitializedCapacity: tensor.values.count) { buffer, count in
    dequantize(bytes, format: format, count: tensor.values.count, into: buffer.baseAddress!)
    count = tensor.values.count
  }
  return (bytes, values)
}

/// A block of random quants; its f16 scales (and minima) are replaced by small ones.
private func randomBlock(_ format: TensorFormat, _ dice: inout SplitMix64) -> [UInt8] {
  func half(_ value: Float) -> [UInt8] { withUnsafeBytes(of: Float16(value)) { Array($0) } }
  let scale = 0.02 + dice.float(within: 0.01)
  var block = (0..<format.bytesPerBlock).map { _ in UInt8.random(in: .min ... .max, using: &dice) }
  switch format {
  case .f32: return withUnsafeBytes(of: dice.float(within: 0.2)) { Array($0) }
  case .f16: return half(dice.float(within: 0.2))
  case .bf16: return withUnsafeBytes(of: UInt16(dice.float(within: 0.2).bitPattern >> 16)) { Array($0) }
  case .q4_0, .q5_0: block.replaceSubrange(0..<2, with: half(scale))
  case .q8_0: block.replaceSubrange(0..<2, with: half(scale / 16))
  case .q4_1: block.replaceSubrange(0..<4, with: half(scale) + half(-8 * scale))
  case .q5_1: block.replaceSubrange(0..<4, with: half(scale) + half(-16 * scale))
  case .q4_K, .q5_K: block.replaceSubrange(0..<4, with: half(scale / 32) + half(scale / 8))
  case .q6_K: block.replaceSubrange(208..<210, with: half(scale / 512))
  }
  return block
}

@Suite struct WeightFormatTests {
  @Test(arguments: TensorFormat.allCases)
  func `A file in any format computes as its numbers in F32 do`(format: TensorFormat) throws {
    var tiny = TinyModel()
    (tiny.layers, tiny.width, tiny.headDim, tiny.feedForward) = (1, 256, 64, 256)
    let type = try #require(GGUFTensorType(rawValue: format.rawValue))
    let packed = tiny.write { (type, randomMatrix($0, format).bytes) }
    let plain = tiny.write { (.f32, TinyModel.float32Bytes(randomMatrix($0, format).values)) }
    let tokens = randomTokens(9, seed: 3)
    let found = try ModelRun(path: packed.path, kvElementType: .f32, activations: .float32).logits(of: tokens)
    let expected = try ModelRun(path: plain.path, kvElementType: .f32).logits(of: tokens)
    let spread = expected.joined().map(abs).max()!
    #expect(spread > 0.5 && spread < 1000, "the weights are of a sensible size")
    for (row, exact) in zip(found, expected) {
      for (a, b) in zip(row, exact) { #expect(abs(a - b) <= 1e-5 * spread) }
    }
  }

  @Test func `A tiny model in Q8_0 is near its F32 self`() throws {
    let (exact, rounded) = (TinyModel().write(), TinyModel().write(encode: TinyModel.q8_0))
    let tokens = randomTokens(20, seed: 4)
    let a = try ModelRun(path: exact.path).logits(of: tokens)
    let b = try ModelRun(path: rounded.path).logits(of: tokens)
    let errors = zip(a, b).flatMap { zip($0, $1).map { ($0 - $1) * ($0 - $1) } }
    #expect((errors.reduce(0, +) / Float(errors.count)).squareRoot() < 0.15, "root mean square; logits reach ±5")
  }
}
