import Glibc
import Kernels
import ModelFiles

/// Rotary position embedding: at position p, pair i of a head is turned by the angle `p · frequencies[i]`.
///
/// Source: Su et al. 2021 (arXiv:2104.09864); llama3's scaling comes as divisors in the tensor `rope_freqs.weight`.
package struct RotaryEmbedding: Equatable, Sendable {
  /// Radians per position of each pair of a head: `headDim / 2` of them, zero for those that stay as they are.
  package let frequencies: [Double]
  package let pairing: RoPEPairing

  init(
    reader: HyperparameterReader, file: GGUFFile, headDim: Int, pairing: RoPEPairing
  ) throws(ModelError) {
    let dimensions = try reader.positive("rope.dimension_count", default: headDim)
    guard dimensions % 2 == 0, dimensions <= headDim else {
      throw reader.invalid("rope.dimension_count", "even and at most the head's \(headDim)")
    }
    guard dimensions == headDim || pairing == .adjacent else {
      throw .unsupportedFeature("RoPE of \(dimensions) of a head's \(headDim) dimensions, paired by halves")
    }
    let base = try reader.positiveNumber("rope.freq_base", default: 10_000)
    let linear = try Self.linearFactor(reader)
    let divisors = try Self.divisors(file, count: dimensions / 2)
    self.pairing = pairing
    frequencies = (0..<headDim / 2).map { pair in
      guard pair < dimensions / 2 else { return 0 }
      return pow(base, -2 * Double(pair) / Double(dimensions)) / (linear * Double(divisors?[pair] ?? 1))
    }
  }

  /// The cosines and sines of every pair at a position, computed in Double: at position 8,000 an angle in Float is off
  /// by 5e-4.
  /// - Parameters: cosines, sines: `[frequencies.count]`.
  func angles(at position: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
    for (pair, frequency) in frequencies.enumerated() {
      let angle = Double(position) * frequency
      cosines[pair] = Float(cos(angle))
      sines[pair] = Float(sin(angle))
    }
  }

  private static func linearFactor(_ reader: HyperparameterReader) throws(ModelError) -> Double {
    switch reader.string("rope.scaling.type") {
    case "linear": try reader.positiveNumber("rope.scaling.factor", default: 1)
    // Files from before `rope.scaling.*` say it so.
    case nil: try reader.positiveNumber("rope.scale_linear", default: 1)
    case "none": 1
    case let type?: throw .unsupportedFeature("RoPE scaling \"\(type)\"")
    }
  }

  private static func divisors(_ file: GGUFFile, count: Int) throws(ModelError) -> [Float]? {
    let name = "rope_freqs.weight"
    guard let tensor = file.tensor(named: name) else {
      for variant in ["rope_factors_long.weight", "rope_factors_short.weight"] where file.tensor(named: variant) != nil
      {
        throw .unsupportedFeature("RoPE scaling by \(variant)")
      }
      return nil
    }
    let values = try TensorLoader(file: file).vector(tensor.name, count: count)
    guard values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw .invalidMetadata(key: name, found: "\(values)", expected: "positive divisors")
    }
    return values
  }
}
