import Glibc
import Kernels
import ModelFiles

/// Rotary position embedding: at position p, pair i of a head is turned by the angle `p · frequencies[i]`.
///
/// Source: Su et al. 2021 (arXiv:2104.09864); llama3's scaling comes as divisors in the tensor `rope_freqs.weight`,
/// LongRoPE's (Ding et al. 2024, arXiv:2402.13753) in two, of which the context's length says which.
package struct RotaryEmbedding: Equatable, Sendable {
  /// Radians per position of each pair that turns; what follows them in a head stays as it is.
  package let frequencies: [Double]
  package let pairing: RoPEPairing
  /// What a pair's length is multiplied by.
  package let magnitude: Float

  /// - Parameter contextLength: The longest sequence to be served: what turns must not change in the middle of one.
  init(
    reader: HyperparameterReader, file: any ModelFile, headDim: Int, pairing: RoPEPairing, contextLength: Int
  ) throws(ModelError) {
    let dimensions = try reader.positive("rope.dimension_count", default: headDim)
    guard dimensions % 2 == 0, dimensions <= headDim else {
      throw reader.invalid("rope.dimension_count", "even and at most the head's \(headDim)")
    }
    let base = try reader.positiveNumber("rope.freq_base", default: 10_000)
    let linear = try Self.linearFactor(reader)
    let divisors = try Self.divisors(reader, file, count: dimensions / 2, contextLength: contextLength)
    self.pairing = pairing
    magnitude = Float(try reader.positiveNumber("rope.scaling.attn_factor", default: 1))
    frequencies = Self.frequencies(base: base, dimensions: dimensions).enumerated().map { pair, frequency in
      frequency / (linear * Double(divisors?[pair] ?? 1))
    }
  }

  /// The rotation of layers whose attention slides; nil if it is that of the others.
  init?(
    reader: HyperparameterReader, ofSlidingLayersIn architecture: Architecture, dimensions: Int, pairing: RoPEPairing
  ) throws(ModelError) {
    let key = "rope.freq_base_swa"
    guard let usual = architecture.slidingRopeBase ?? (reader.has(key) ? 10_000 : nil) else { return nil }
    self.pairing = pairing
    magnitude = 1
    frequencies = Self.frequencies(base: try reader.positiveNumber(key, default: usual), dimensions: dimensions)
  }

  private static func frequencies(base: Double, dimensions: Int) -> [Double] {
    (0..<dimensions / 2).map { pow(base, -2 * Double($0) / Double(dimensions)) }
  }

  /// The cosines and sines of every pair at a row's position, computed in Double: at position 8,000 an angle in Float is
  /// off by 5e-4.
  func angles(at position: Int, row: Int, into angles: RowAngles) {
    let first = row * frequencies.count
    for (pair, frequency) in frequencies.enumerated() {
      let angle = Double(position) * frequency
      angles.cosines[first + pair] = magnitude * Float(cos(angle))
      angles.sines[first + pair] = magnitude * Float(sin(angle))
    }
  }

  private static func linearFactor(_ reader: HyperparameterReader) throws(ModelError) -> Double {
    switch reader.string("rope.scaling.type") {
    case "linear": try reader.positiveNumber("rope.scaling.factor", default: 1)
    // Files from before `rope.scaling.*` say it so.
    case nil: try reader.positiveNumber("rope.scale_linear", default: 1)
    case "none", "longrope": 1
    case let type?: throw .unsupportedFeature("RoPE scaling \"\(type)\"")
    }
  }

  private static func divisors(
    _ reader: HyperparameterReader, _ file: any ModelFile, count: Int, contextLength: Int
  ) throws(ModelError) -> [Float]? {
    let original = try reader.positiveOrZero("rope.scaling.original_context_length")
    let variant = contextLength > original ?? .max ? "rope_factors_long.weight" : "rope_factors_short.weight"
    let names = ["rope_freqs.weight", variant]
    guard let name = names.first(where: { file.tensor(named: $0) != nil || file.metadata[$0] != nil }) else {
      return nil
    }
    let stated = file.metadata.floats(name)
    let values = if let stated { stated } else { try TensorLoader(file: file).vector(name, count: count) }
    guard values.count == count, values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw .invalidMetadata(key: name, found: "\(values)", expected: "\(count) positive divisors")
    }
    return values
  }
}
