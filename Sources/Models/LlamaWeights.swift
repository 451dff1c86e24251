import Kernels
import ModelFiles

/// All weights of a Llama, ready for the kernels.
///
struct LlamaWeights {
  let embedding: MappedRows
  let layers: [LlamaLayer]
  let outputNorm: [Float]
  /// The embedding itself where the file has no matrix of its own for it.
  let output: PackedMatrix

  init(
    file: GGUFFile, configuration: ModelConfiguration, activations: ActivationType, threads: ThreadPool
  ) throws(ModelError) {
    let loader = TensorLoader(file: file)
    let (vocabulary, width) = (configuration.vocabularySize, configuration.width)
    embedding = try loader.rows("token_embd.weight", rows: vocabulary, columns: width)
    var layers: [LlamaLayer] = []
    for index in 0..<configuration.layers {
      layers.append(
        try LlamaLayer(index, of: loader, configuration: configuration, activations: activations, threads: threads))
    }
    self.layers = layers
    outputNorm = try loader.vector("output_norm.weight", count: width)
    let name = loader.has("output.weight") ? "output.weight" : "token_embd.weight"
    output = try loader.matrix(
      name, rows: vocabulary, columns: width, activations: activations.forSensitiveProducts, threads: threads)
  }

  /// Of the repacked matrices.
  var packedByteCount: Int {
    output.byteCount + layers.reduce(0) { sum, layer in sum + layer.projections.reduce(0) { $0 + $1.byteCount } }
  }
}

/// One layer's weights: norm → attention → norm → SwiGLU.
struct LlamaLayer {
  let attentionNorm: [Float]
  let query: Projection
  let key: Projection
  let value: Projection
  let attentionOutput: Projection
  let feedForwardNorm: [Float]
  let gate: Projection
  let up: Projection
  let down: Projection

  init(
    _ index: Int, of loader: TensorLoader, configuration: ModelConfiguration, activations: ActivationType,
    threads: ThreadPool
  ) throws(ModelError) {
    func projection(
      _ name: String, from columns: Int, to rows: Int, activations: ActivationType = activations
    ) throws(ModelError) -> Projection {
      let name = "blk.\(index).\(name)"
      return Projection(
        matrix: try loader.matrix(
          "\(name).weight", rows: rows, columns: columns, activations: activations, threads: threads),
        bias: try loader.optionalVector("\(name).bias", count: rows))
    }
    let c = configuration
    attentionNorm = try loader.vector("blk.\(index).attn_norm.weight", count: c.width)
    query = try projection("attn_q", from: c.width, to: c.queryWidth)
    key = try projection("attn_k", from: c.width, to: c.kvWidth)
    value = try projection("attn_v", from: c.width, to: c.kvWidth, activations: activations.forSensitiveProducts)
    attentionOutput = try projection("attn_output", from: c.queryWidth, to: c.width)
    feedForwardNorm = try loader.vector("blk.\(index).ffn_norm.weight", count: c.width)
    gate = try projection("ffn_gate", from: c.width, to: c.feedForwardWidth)
    up = try projection("ffn_up", from: c.width, to: c.feedForwardWidth)
    down = try projection("ffn_down", from: c.feedForwardWidth, to: c.width)
  }

  var projections: [PackedMatrix] {
    [query, key, value, attentionOutput, gate, up, down].map(\.matrix)
  }
}

/// `out = matrix · x + bias`.
struct Projection {
  let matrix: PackedMatrix
  let bias: [Float]?
}

extension ActivationType {
  /// Of values and logits: with activations in int8 they are still computed from int16. They are 3 % and none of a
  /// prompt's operations, and about half of int8's error (docs/performance.md).
  fileprivate var forSensitiveProducts: ActivationType { self == .int8 ? .int16 : self }
}
