import Kernels
import ModelFiles

/// All weights of a model, ready for the kernels.
struct LlamaWeights {
  let embedding: MappedRows
  let layers: [LlamaLayer]
  let outputNorm: [Float]
  /// The embedding itself where the file has no matrix of its own for it.
  let output: PackedMatrix

  init(
    file: any ModelFile, configuration: ModelConfiguration, activations: ActivationType, threads: ThreadPool
  ) throws(ModelError) {
    let lessOne = file.header.isOriginal && configuration.architecture.storesNormsLessOne
    let loader = TensorLoader(file: file, normOffset: lessOne ? 1 : 0)
    let (vocabulary, width) = (configuration.vocabularySize, configuration.width)
    embedding = try loader.rows("token_embd.weight", rows: vocabulary, columns: width)
    var layers: [LlamaLayer] = []
    for index in 0..<configuration.layers {
      layers.append(
        try LlamaLayer(index, of: loader, configuration: configuration, activations: activations, threads: threads))
    }
    self.layers = layers
    outputNorm = try loader.norm("output_norm", count: width)
    let name = loader.has("output.weight") ? "output" : "token_embd"
    output = try loader.matrix(
      MatrixPlace(name, rows: vocabulary), columns: width, activations: activations.forSensitiveProducts,
      threads: threads)
  }

  /// Of the repacked matrices.
  var packedByteCount: Int {
    output.byteCount + layers.reduce(0) { sum, layer in sum + layer.projections.reduce(0) { $0 + $1.byteCount } }
  }
}

/// One layer's weights: norm → attention (→ norm) → norm → gated units (→ norm).
struct LlamaLayer {
  let attentionNorm: [Float]
  /// Of each head.
  let queryNorm: [Float]?
  let keyNorm: [Float]?
  let attentionOutputNorm: [Float]?
  let feedForwardOutputNorm: [Float]?
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
    let (c, layer) = (configuration, "blk.\(index).")
    func projection(
      _ place: MatrixPlace, from columns: Int, needsBias: Bool = false, activations: ActivationType = activations
    ) throws(ModelError) -> Projection {
      Projection(
        matrix: try loader.matrix(place, columns: columns, activations: activations, threads: threads),
        bias: try loader.bias(of: place, isNeeded: needsBias))
    }
    func norm(_ name: String, _ count: Int, if exists: Bool) throws(ModelError) -> [Float]? {
      exists ? try loader.norm(layer + name, count: count) : nil
    }
    let (family, places) = (c.architecture, LayerPlaces(layer, of: c))
    attentionNorm = try loader.norm(layer + "attn_norm", count: c.width)
    query = try projection(places.query, from: c.width, needsBias: family.needsAttentionBiases)
    key = try projection(places.key, from: c.width, needsBias: family.needsAttentionBiases)
    value = try projection(
      places.value, from: c.width, needsBias: family.needsAttentionBiases,
      activations: activations.forSensitiveProducts)
    queryNorm = try norm("attn_q_norm", c.headDim, if: family.normsHeads)
    keyNorm = try norm("attn_k_norm", c.headDim, if: family.normsHeads)
    attentionOutput = try projection(MatrixPlace(layer + "attn_output", rows: c.width), from: c.queryWidth)
    attentionOutputNorm = try norm("post_attention_norm", c.width, if: family.normsOutputs)
    feedForwardNorm = try loader.norm(layer + "ffn_norm", count: c.width)
    gate = try projection(places.gate, from: c.width)
    up = try projection(places.up, from: c.width)
    down = try projection(MatrixPlace(layer + "ffn_down", rows: c.width), from: c.feedForwardWidth)
    feedForwardOutputNorm = try norm("post_ffw_norm", c.width, if: family.normsOutputs)
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
