import Kernels
import TestSupport
import Testing

struct DequantizeTests {
  @Test(arguments: TensorFormat.allCases)
  func `Every format gives the numbers of ggml's definition`(format: TensorFormat) {
    var random = SplitMix64(seed: UInt64(format.rawValue))
    let count = 64 * format.blockElements
    let bytes = random.blocks(format, count: count, largestScale: 65504)
    expectSameBits(dequantized(bytes, format, count), referenceDequantize(bytes, format: format))
  }

  @Test func `All halves and bfloats widen as the language's own`() {
    let bytes = (0...UInt16.max).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let isNumber = { (x: Float) in !x.isNaN }
    for format in [TensorFormat.f16, .bf16] {
      let reference = referenceDequantize(bytes, format: format)
      expectSameBits(dequantized(bytes, format, 65536).filter(isNumber), reference.filter(isNumber))
    }
  }

  @Test func `A source may lie at any address`() {
    var random = SplitMix64(seed: 1)
    let bytes = random.blocks(.q4_1, count: 64)
    expectSameBits(dequantized([0] + bytes, .q4_1, 64, offset: 1), referenceDequantize(bytes, format: .q4_1))
  }

  private func dequantized(_ bytes: [UInt8], _ format: TensorFormat, _ count: Int, offset: Int = 0) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { out, written in
      bytes.withUnsafeBytes {
        dequantize($0.baseAddress! + offset, format: format, count: count, into: out.baseAddress!)
      }
      written = count
    }
  }
}
