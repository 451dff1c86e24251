import ModelFiles

/// A random Llama small enough to run a forward pass in microseconds, in a real GGUF file with a real vocabulary.
///
/// The same values give the same file. Its special tokens have output rows of zeros, so greedy decoding never
/// chooses them and a generation runs to its length.
package struct TinyModel {
  package var seed: UInt64 = 1
  /// `llama` (interleaved RoPE pairs) or `qwen2` (halves).
  package var architecture = "llama"
  package var layers = 2
  package var width = 64
  package var heads = 4
  package var kvHeads = 2
  package var headDim = 16
  package var feedForward = 96
  package var contextLength = 512
  package var ropeBase: Float = 10_000
  package var epsilon: Float = 1e-5
  package var hasBiases = false
  package var hasSeparateOutput = true
  /// `rope_freqs.weight`, `headDim / 2` of them, as llama3's scaling has it.
  package var ropeFactors: [Float]?

  package init() {}

  /// A matrix is `[rows, columns]`, row-major; norms and biases have one dimension.
  package struct Tensor {
    package var name: String
    package var shape: [Int]
    package var values: [Float]
  }

  package var queryWidth: Int { heads * headDim }
  package var kvWidth: Int { kvHeads * headDim }
  package var vocabularySize: Int { TinyVocabulary.tokens.count }

  /// The weights, in file order.
  package func tensors() -> [Tensor] {
    var dice = SplitMix64(seed: seed)
    var tensors = [matrix("token_embd.weight", vocabularySize, width, within: 1, &dice)]
    if let ropeFactors {
      tensors.append(Tensor(name: "rope_freqs.weight", shape: [ropeFactors.count], values: ropeFactors))
    }
    for layer in 0..<layers { tensors += layerTensors("blk.\(layer).", &dice) }
    tensors.append(vector("output_norm.weight", width, around: 1, &dice))
    if hasSeparateOutput {
      var output = matrix("output.weight", vocabularySize, width, within: 0.3, &dice)
      for index in 0..<(TinyVocabulary.specials.count * width) { output.values[index] = 0 }
      tensors.append(output)
    }
    return tensors
  }

  /// - Parameter encode: Gives a matrix another type than F32. Norms, biases and factors stay F32.
  package func write(
    encode: (Tensor) -> (type: GGUFTensorType, bytes: [UInt8]) = { (.f32, float32Bytes($0.values)) }
  ) -> TemporaryFile {
    writer(encode: encode).write()
  }

  package func writer(
    encode: (Tensor) -> (type: GGUFTensorType, bytes: [UInt8]) = { (.f32, float32Bytes($0.values)) }
  ) -> GGUFWriter {
    var writer = GGUFWriter()
    addArchitecture(to: &writer)
    TinyVocabulary.add(to: &writer)
    for tensor in tensors() {
      let (type, bytes) = tensor.shape.count == 2 ? encode(tensor) : (.f32, Self.float32Bytes(tensor.values))
      writer.addTensor(tensor.name, type: type, dimensions: tensor.shape.reversed(), bytes: bytes)
    }
    return writer
  }

  package static func float32Bytes(_ values: [Float]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

  /// Q8_0 blocks: an f16 scale and 32 signed bytes.
  package static func q8_0(_ tensor: Tensor) -> (type: GGUFTensorType, bytes: [UInt8]) {
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: tensor.values.count, by: 32) {
      let block = tensor.values[start..<start + 32]
      let scale = Float16(block.map(abs).max()! / 127)
      withUnsafeBytes(of: scale) { bytes.append(contentsOf: $0) }
      for value in block { bytes.append(UInt8(bitPattern: Int8((value / max(Float(scale), 1e-9)).rounded()))) }
    }
    return (.q8_0, bytes)
  }

  private func addArchitecture(to writer: inout GGUFWriter) {
    let a = architecture
    writer.add("general.architecture", .string(a))
    writer.add("general.name", .string("Tiny random \(a) \(seed)"))
    writer.add("\(a).block_count", .uint32(UInt32(layers)))
    writer.add("\(a).context_length", .uint32(UInt32(contextLength)))
    writer.add("\(a).embedding_length", .uint32(UInt32(width)))
    writer.add("\(a).feed_forward_length", .uint32(UInt32(feedForward)))
    writer.add("\(a).attention.head_count", .uint32(UInt32(heads)))
    writer.add("\(a).attention.head_count_kv", .uint32(UInt32(kvHeads)))
    writer.add("\(a).attention.layer_norm_rms_epsilon", .float32(epsilon))
    writer.add("\(a).rope.freq_base", .float32(ropeBase))
    writer.add("\(a).rope.dimension_count", .uint32(UInt32(headDim)))
    if headDim * heads != width {
      writer.add("\(a).attention.key_length", .uint32(UInt32(headDim)))
      writer.add("\(a).attention.value_length", .uint32(UInt32(headDim)))
    }
  }

  private func layerTensors(_ prefix: String, _ dice: inout SplitMix64) -> [Tensor] {
    // Twice the usual scale of √(3 / fan-in), so that attention and FFN say as much as the embedding does.
    func scale(_ fanIn: Int) -> Float { 2 * (3 / Float(fanIn)).squareRoot() }
    let projections: [(name: String, rows: Int, columns: Int)] = [
      ("attn_q", queryWidth, width), ("attn_k", kvWidth, width), ("attn_v", kvWidth, width),
      ("attn_output", width, queryWidth), ("ffn_gate", feedForward, width), ("ffn_up", feedForward, width),
      ("ffn_down", width, feedForward),
    ]
    var tensors = [
      vector(prefix + "attn_norm.weight", width, around: 1, &dice),
      vector(prefix + "ffn_norm.weight", width, around: 1, &dice),
    ]
    for (name, rows, columns) in projections {
      tensors.append(matrix("\(prefix)\(name).weight", rows, columns, within: scale(columns), &dice))
      if hasBiases { tensors.append(vector("\(prefix)\(name).bias", rows, around: 0, &dice)) }
    }
    return tensors
  }

  private func matrix(
    _ name: String, _ rows: Int, _ columns: Int, within limit: Float, _ dice: inout SplitMix64
  ) -> Tensor {
    Tensor(name: name, shape: [rows, columns], values: (0..<rows * columns).map { _ in dice.float(within: limit) })
  }

  private func vector(_ name: String, _ count: Int, around center: Float, _ dice: inout SplitMix64) -> Tensor {
    Tensor(name: name, shape: [count], values: (0..<count).map { _ in center + dice.float(within: 0.2) })
  }
}
