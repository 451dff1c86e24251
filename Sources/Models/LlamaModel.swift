import KVBlocks
import Kernels
import ModelFiles

/// The Llama family and its relatives (`Architecture`) on the CPU: activations in float32, weights as the file has them,
/// keys and values in paged blocks. Products may round their inputs to integers (`ActivationType`); everything between
/// them is float32 in all modes.
package final class LlamaModel: LanguageModel {
  package let configuration: ModelConfiguration
  package let kvLayout: KVLayout
  package let loadReport: ModelLoadReport

  private let weights: LlamaWeights
  private let threads: ThreadPool
  private var scratch = ForwardScratch()
  private let quantized = QuantizedRows()

  /// - Parameters:
  ///   - threads: Runs the packing now and every step later; no other thread may use it during a step.
  ///   - maxContext: nil: as long as the model allows.
  package init(
    file: any ModelFile, threads: ThreadPool, maxContext: Int? = nil, blockSize: Int = 16,
    kvElementType: KVLayout.ElementType = .f16, activations: ActivationType = .standard
  ) throws(ModelError) {
    let start = ContinuousClock.now
    configuration = try ModelConfiguration(file: file, maxContext: maxContext)
    guard configuration.headDim % kvElementType.blockElements == 0 else {
      throw .unsuitableKVCache(kvElementType, headDim: configuration.headDim)
    }
    weights = try LlamaWeights(
      file: file, configuration: configuration, activations: activations, threads: threads)
    kvLayout = KVLayout(
      layers: configuration.layers, kvHeads: configuration.kvHeads, headDim: configuration.headDim,
      elementType: kvElementType, blockSize: blockSize)
    self.threads = threads
    loadReport = ModelLoadReport(
      fileBytes: file.byteCount, packedBytes: weights.packedByteCount, duration: ContinuousClock.now - start)
  }

  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }

  @discardableResult
  package func forward(
    _ batch: ForwardBatch, kv: KVMemory, logits: UnsafeMutableBufferPointer<Float>
  ) -> UnsafeBufferPointer<Float> {
    let rows = batch.tokens.count
    precondition(kv.layout == kvLayout && logits.count >= batch.logitRows.count * vocabularySize)
    guard rows > 0 else { return UnsafeBufferPointer(start: nil, count: 0) }
    scratch.reserve(rows: rows, for: configuration)
    embed(batch)
    scratch.blockTables.removeAll(keepingCapacity: true)
    for sequence in batch.sequences { scratch.blockTables += sequence.blockTable.lazy.map(\.index) }
    // Nothing below grows the tables, so their address holds until the end of the pass.
    scratch.blockTables.withUnsafeBufferPointer { tables in
      let sequences = attentionSequences(batch, tables: tables)
      for index in weights.layers.indices {
        let isLast = index == weights.layers.count - 1
        store(index, rows: rows, sequences: sequences, kv: kv)
        batch.layerIsStored?(index)
        attend(index, sequences: isLast ? sequences.compactMap { $0.from(batch.logitRows) } : sequences, kv: kv)
        if isLast { keepOnly(batch.logitRows) }
        finish(weights.layers[index], rows: isLast ? batch.logitRows.count : rows)
      }
    }
    project(rows: batch.logitRows.count, into: logits)
    return UnsafeBufferPointer(start: scratch.normed, count: batch.logitRows.count * configuration.width)
  }

  /// Token embeddings into the residual stream, and the angles of each row's position.
  private func embed(_ batch: ForwardBatch) {
    let (c, factor) = (configuration, Float(configuration.width).squareRoot())
    for sequence in batch.sequences {
      for row in sequence.rows {
        let hidden = scratch.hidden + row * c.width
        weights.embedding.read(Int(batch.tokens[row]), into: hidden)
        if c.architecture.scalesEmbeddings { for i in 0..<c.width { hidden[i] *= factor } }
        let position = sequence.startPosition + row - sequence.rows.lowerBound
        c.rope.angles(at: position, row: row, into: scratch.angles)
        c.slidingRope?.angles(at: position, row: row, into: scratch.slidingAngles)
      }
    }
  }

  private func attentionSequences(
    _ batch: ForwardBatch, tables: UnsafeBufferPointer<Int32>
  ) -> [AttentionSequence] {
    var offset = 0
    return batch.sequences.map { sequence in
      precondition(
        kvLayout.blocks(forTokens: sequence.startPosition + sequence.rows.count) <= sequence.blockTable.count)
      defer { offset += sequence.blockTable.count }
      return AttentionSequence(
        rows: sequence.rows, startPosition: sequence.startPosition, blockTable: tables.baseAddress! + offset)
    }
  }

  /// Norm, queries, keys and values, RoPE, keys and values into their slots.
  private func store(_ index: Int, rows: Int, sequences: [AttentionSequence], kv: KVMemory) {
    let (c, layer) = (configuration, weights.layers[index])
    rmsNorm(
      scratch.hidden, weight: layer.attentionNorm, epsilon: c.normEpsilon, rows: rows, dim: c.width,
      into: scratch.normed, threads: threads)
    multiply(
      scratch.normed, rows: rows,
      by: [
        (layer.query.matrix, scratch.queries), (layer.key.matrix, scratch.keys), (layer.value.matrix, scratch.values),
      ], quantized: quantized, threads: threads)
    add(layer.query.bias, to: scratch.queries, rows: rows)
    add(layer.key.bias, to: scratch.keys, rows: rows)
    add(layer.value.bias, to: scratch.values, rows: rows)
    normHeads(scratch.queries, weight: layer.queryNorm, rows: rows * c.heads)
    normHeads(scratch.keys, weight: layer.keyNorm, rows: rows * c.kvHeads)
    rotate(scratch.queries, heads: c.heads, rows: rows, layer: index)
    rotate(scratch.keys, heads: c.kvHeads, rows: rows, layer: index)
    storeKV(
      keys: scratch.keys, values: scratch.values, sequences: sequences, into: pages(of: kv, layer: index))
  }

  /// Up to `attended`, of the sequences' rows.
  private func attend(_ index: Int, sequences: [AttentionSequence], kv: KVMemory) {
    let c = configuration
    Kernels.attend(
      queries: scratch.queries, sequences: sequences, kv: pages(of: kv, layer: index), heads: c.heads,
      scale: c.attentionScale, window: c.windows[index], softcap: c.attentionSoftcap, out: scratch.attended,
      threads: threads)
  }

  /// Output projection into the residual stream, norm, gated units, and their projection into the residual stream.
  private func finish(_ layer: LlamaLayer, rows: Int) {
    let c = configuration
    join(scratch.attended, through: layer.attentionOutput, norm: layer.attentionOutputNorm, rows: rows)
    rmsNorm(
      scratch.hidden, weight: layer.feedForwardNorm, epsilon: c.normEpsilon, rows: rows, dim: c.width,
      into: scratch.normed, threads: threads)
    multiply(
      scratch.normed, rows: rows, by: [(layer.gate.matrix, scratch.gate), (layer.up.matrix, scratch.up)],
      quantized: quantized, threads: threads)
    add(layer.gate.bias, to: scratch.gate, rows: rows)
    add(layer.up.bias, to: scratch.up, rows: rows)
    let (gate, up, dim) = (scratch.gate, scratch.up, c.feedForwardWidth)
    switch c.architecture.gate {
    case .silu: swiGLU(gate: gate, up: up, rows: rows, dim: dim, into: gate, threads: threads)
    case .gelu: geGLU(gate: gate, up: up, rows: rows, dim: dim, threads: threads)
    }
    join(gate, through: layer.down, norm: layer.feedForwardOutputNorm, rows: rows)
  }

  /// Adds a projection of `x` to the residual stream, with its norm if it has one.
  private func join(_ x: UnsafePointer<Float>, through projection: Projection, norm: [Float]?, rows: Int) {
    let (dim, out) = (configuration.width, norm == nil ? scratch.hidden : scratch.normed)
    projection.matrix.multiply(
      x, rows: rows, into: out, accumulate: norm == nil, quantized: quantized, threads: threads)
    add(projection.bias, to: out, rows: rows)
    guard let norm else { return }
    rmsNorm(
      out, weight: norm, epsilon: configuration.normEpsilon, rows: rows, dim: dim, into: out, threads: threads)
    addRows(out, rows: rows, dim: dim, to: scratch.hidden, threads: threads)
  }

  /// The last norm and the logits of the first `rows` rows.
  private func project(rows: Int, into logits: UnsafeMutableBufferPointer<Float>) {
    guard rows > 0, let out = logits.baseAddress else { return }
    rmsNorm(
      scratch.hidden, weight: weights.outputNorm, epsilon: configuration.normEpsilon, rows: rows,
      dim: configuration.width, into: scratch.normed, threads: threads)
    weights.output.multiply(scratch.normed, rows: rows, into: out, quantized: quantized, threads: threads)
    if let cap = configuration.logitSoftcap {
      capSoftly(out, at: cap, rows: rows, dim: vocabularySize, threads: threads)
    }
  }

  /// Moves these rows to the front: after the last layer's keys and values, only rows whose logits are wanted go on.
  private func keepOnly(_ rows: [Int]) {
    let (width, queryWidth) = (configuration.width, configuration.queryWidth)
    for (target, row) in rows.enumerated() where target != row {
      (scratch.hidden + target * width).update(from: scratch.hidden + row * width, count: width)
      (scratch.attended + target * queryWidth).update(from: scratch.attended + row * queryWidth, count: queryWidth)
    }
  }

  private func add(_ bias: [Float]?, to out: UnsafeMutablePointer<Float>, rows: Int) {
    guard let bias else { return }
    addBias(bias, rows: rows, dim: bias.count, to: out, threads: threads)
  }

  private func normHeads(_ heads: UnsafeMutablePointer<Float>, weight: [Float]?, rows: Int) {
    guard let weight else { return }
    rmsNorm(
      heads, weight: weight, epsilon: configuration.normEpsilon, rows: rows, dim: configuration.headDim, into: heads,
      threads: threads)
  }

  private func rotate(_ heads: UnsafeMutablePointer<Float>, heads count: Int, rows: Int, layer: Int) {
    let c = configuration
    let angles = c.slidingRope != nil && c.windows[layer] != nil ? scratch.slidingAngles : scratch.angles
    applyRoPE(
      heads, rows: rows, heads: count, headDim: c.headDim, rotated: 2 * c.rope.frequencies.count,
      positions: scratch.rowNumbers, cosines: angles.cosines, sines: angles.sines, pairing: c.rope.pairing,
      threads: threads)
  }

  private func pages(of kv: KVMemory, layer: Int) -> PagedKV {
    PagedKV(
      base: kv.base + layer * kvLayout.bytesPerLayer, bytesPerBlock: kvLayout.bytesPerBlock,
      blockSize: kvLayout.blockSize, kvHeads: kvLayout.kvHeads, headDim: kvLayout.headDim,
      elementType: kvLayout.elementType.forKernels)
  }
}

extension AttentionSequence {
  /// What the last layer needs: the rows from the first on whose logits are wanted; nil if none is.
  fileprivate func from(_ logitRows: [Int]) -> AttentionSequence? {
    guard let first = logitRows.first(where: rows.contains) else { return nil }
    return AttentionSequence(
      rows: first..<rows.upperBound, startPosition: startPosition + first - rows.lowerBound, blockTable: blockTable)
  }
}

extension KVLayout.ElementType {
  fileprivate var forKernels: PagedKV.ElementType {
    switch self {
    case .f16: .f16
    case .f32: .f32
    case .q8_0: .q8_0
    }
  }
}
