import Kernels
import ModelFiles

/// The numbers that say what to compute, read from a model file's metadata and checked.
package struct ModelConfiguration: Equatable, Sendable {
  package enum Architecture: String, CaseIterable, Sendable {
    /// Llama 2 and 3.x, SmolLM2, TinyLlama, Mistral. Its files hold query and key rows in interleaved order.
    case llama
    case qwen2

    var pairing: RoPEPairing { self == .qwen2 ? .halves : .adjacent }
  }

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
  package let rope: RotaryEmbedding

  package var queryWidth: Int { heads * headDim }
  package var kvWidth: Int { kvHeads * headDim }

  /// - Parameter maxContext: nil: as long as the model allows.
  package init(file: GGUFFile, maxContext: Int? = nil) throws(ModelError) {
    let name = file.metadata.string("general.architecture")
    guard let architecture = name.flatMap(Architecture.init(rawValue:)) else {
      throw .unsupportedArchitecture(name)
    }
    let reader = HyperparameterReader(metadata: file.metadata, architecture: architecture.rawValue)
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
    rope = try RotaryEmbedding(reader: reader, file: file, headDim: headDim, pairing: architecture.pairing)
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

  /// Attention sees all positions, so where a model's window slides, the context ends with the first window: within it
  /// both are the same.
  private static func contextLength(_ reader: HyperparameterReader, requested: Int?) throws(ModelError) -> Int {
    var limit = try reader.positive("context_length", limit: 1 << 30)
    var reason = "its context length"
    if let window = try reader.positiveOrZero("attention.sliding_window"), window > 0, window < limit {
      (limit, reason) = (window, "its attention window, which xpyd does not slide")
    }
    guard let requested else { return limit }
    guard requested > 0 else { throw .invalidContext(requested) }
    guard requested <= limit else { throw .contextTooLong(requested: requested, limit: limit, reason: reason) }
    return requested
  }

  private static func vocabularySize(_ file: GGUFFile, width: Int) throws(ModelError) -> Int {
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
