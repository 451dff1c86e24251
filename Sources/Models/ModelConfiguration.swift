import Kernels
import ModelFiles

/// The numbers that say what to compute, read from a model file's metadata and checked.
package struct ModelConfiguration: Equatable, Sendable {
  package let architecture: Architecture
  package let layers: Int
  /// Of the residual stream.
  package let width: Int
  package let heads: Int
  /// Divides `heads`: each KV head serves `heads / kvHeads` query heads.
  package let kvHeads: Int
  package let headDim: Int
  package let feedForwardWidth: Int
  package let vocabularySize: Int
  /// The longest sequence, in tokens: what was asked for, else the model's own limit.
  package let contextLength: Int
  package let normEpsilon: Float
  /// Of every layer that sees all, and where `slidingRope` is nil, of every layer.
  package let rope: RotaryEmbedding
  package let slidingRope: RotaryEmbedding?
  /// Of each layer: the positions that a token sees, its own included; nil: all before it.
  package let windows: [Int?]
  /// Scores are multiplied by it.
  package let attentionScale: Float
  package let attentionSoftcap: Float?
  package let logitSoftcap: Float?

  package var queryWidth: Int { heads * headDim }
  package var kvWidth: Int { kvHeads * headDim }

  /// - Parameter maxContext: nil: as long as the model allows.
  package init(file: any ModelFile, maxContext: Int? = nil) throws(ModelError) {
    let name = file.metadata.string("general.architecture")
    guard let architecture = Architecture.all.first(where: { $0.name == name }) else {
      throw .unsupportedArchitecture(name)
    }
    let reader = HyperparameterReader(metadata: file.metadata, architecture: architecture.name)
    if let experts = try reader.positiveOrZero("expert_count"), experts > 0 {
      throw .unsupportedFeature("a mixture of \(experts) experts")
    }
    self.architecture = architecture
    layers = try reader.positive("block_count", limit: 1 << 10)
    width = try reader.positive("embedding_length")
    feedForwardWidth = try reader.positive("feed_forward_length")
    normEpsilon = try reader.epsilon("attention.layer_norm_rms_epsilon")
    (heads, kvHeads, headDim) = try Self.attentionShape(reader, width: width)
    contextLength = try Self.contextLength(reader, requested: maxContext)
    windows = try Self.windows(reader, architecture, layers: layers)
    rope = try RotaryEmbedding(
      reader: reader, file: file, headDim: headDim,
      pairing: file.header.isOriginal ? .halves : architecture.pairing, contextLength: contextLength)
    slidingRope = try RotaryEmbedding(
      reader: reader, ofSlidingLayersIn: architecture, dimensions: rope.frequencies.count * 2, pairing: rope.pairing)
    let scored = layers == architecture.layersScaledByWidth ? width / heads : headDim
    attentionScale = try Float(
      reader.positiveNumber("attention.scale", default: Double(1 / Float(scored).squareRoot())))
    attentionSoftcap = try reader.softcap("attn_logit_softcapping")
    logitSoftcap = try reader.softcap("final_logit_softcapping")
    vocabularySize = try Self.vocabularySize(file, width: width)
  }

  private static func attentionShape(
    _ reader: HyperparameterReader, width: Int
  ) throws(ModelError) -> (heads: Int, kvHeads: Int, headDim: Int) {
    let heads = try reader.positive("attention.head_count")
    let kvHeads = try reader.positive("attention.head_count_kv", default: heads)
    guard heads % kvHeads == 0 else {
      throw reader.invalid("attention.head_count_kv", "a divisor of the \(heads) heads")
    }
    if width % heads != 0 && !reader.has("attention.key_length") {
      throw reader.invalid("attention.head_count", "a divisor of the width \(width)")
    }
    let headDim = try reader.positive("attention.key_length", default: width / heads)
    guard headDim % 2 == 0 else { throw .unsupportedFeature("heads of \(headDim) dimensions, an odd number") }
    let valueLength = try reader.positive("attention.value_length", default: headDim)
    guard valueLength == headDim else {
      throw .unsupportedFeature("keys of \(headDim) beside values of \(valueLength)")
    }
    return (heads, kvHeads, headDim)
  }

  private static func contextLength(_ reader: HyperparameterReader, requested: Int?) throws(ModelError) -> Int {
    let limit = try reader.positive("context_length", limit: 1 << 30)
    guard let requested else { return limit }
    guard requested > 0 else { throw .invalidContext(requested) }
    guard requested <= limit else { throw .contextTooLong(requested: requested, limit: limit) }
    return requested
  }

  /// Every layer's window: the file's, where its own pattern or else the architecture's has the layer slide.
  private static func windows(
    _ reader: HyperparameterReader, _ architecture: Architecture, layers: Int
  ) throws(ModelError) -> [Int?] {
    guard let window = try reader.positiveOrZero("attention.sliding_window"), window > 0 else {
      return Array(repeating: nil, count: layers)
    }
    let pattern = try reader.bools("attention.sliding_window_pattern", count: layers)
    return (0..<layers).map { (pattern?[$0] ?? architecture.slides(layer: $0)) ? window : nil }
  }

  private static func vocabularySize(_ file: any ModelFile, width: Int) throws(ModelError) -> Int {
    let name = "token_embd.weight"
    guard let embedding = file.tensor(named: name) else { throw .missingTensor(name: name, expected: [width]) }
    guard embedding.dimensions.count == 2, embedding.dimensions[0] == width else {
      throw .misshapenTensor(name: name, found: embedding.dimensions, expected: [width])
    }
    guard embedding.dimensions[1] <= Int32.max else {
      throw .unsupportedFeature("a vocabulary of \(embedding.dimensions[1]) tokens")
    }
    return embedding.dimensions[1]
  }
}
