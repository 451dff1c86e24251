import KVBlocks
import ModelFiles
import Models

/// What a test asks of the machine at least, whoever computes it: the two limits of its speed.
package struct ModelWork: Equatable, Sendable {
  package let layers: Int
  /// Weights of one layer's matrices, on average, and of those of them that give keys and values.
  package let layerWeights: Int
  package let kvWeights: Int
  /// Of the output matrix.
  package let outputWeights: Int
  /// Of all tensors that a step reads whole.
  package let weightBytes: Int
  /// Width of all query heads of one layer together.
  package let queryWidth: Int
  /// Keys and values of one token, all layers.
  package let kvBytesPerToken: Int

  package struct Amount: Equatable, Sendable {
    /// Floating-point operations; a multiply-add is two.
    package var operations: Double
    /// Read from memory: weights once a step, and every earlier token's KV.
    package var bytes: Double

    package init(operations: Double = 0, bytes: Double = 0) {
      self.operations = operations
      self.bytes = bytes
    }
  }

  package init(
    layers: Int, layerWeights: Int, kvWeights: Int, outputWeights: Int, weightBytes: Int, queryWidth: Int,
    kvBytesPerToken: Int
  ) {
    self.layers = layers
    self.layerWeights = layerWeights
    self.kvWeights = kvWeights
    self.outputWeights = outputWeights
    self.weightBytes = weightBytes
    self.queryWidth = queryWidth
    self.kvBytesPerToken = kvBytesPerToken
  }

  /// All that one repetition of `test` needs, in steps of at most `stepTokens` prompt tokens.
  package func amount(of test: BenchTest, stepTokens: Int) -> Amount {
    var amount = Amount()
    switch test.phase {
    case .prefill:
      var position = test.depth
      while position < test.contextLength {
        let rows = min(stepTokens, test.contextLength - position)
        let isLast = position + rows == test.contextLength
        add(rows: rows, at: position, sequences: 1, logitRows: isLast ? 1 : 0, to: &amount)
        position += rows
      }
    case .decode(let batch):
      for position in test.depth..<test.contextLength {
        add(rows: 1, at: position, sequences: batch, logitRows: batch, to: &amount)
      }
    }
    return amount
  }

  /// One step. After the last layer's keys and values, only the rows whose logits are wanted need computing.
  private func add(rows: Int, at position: Int, sequences: Int, logitRows: Int, to amount: inout Amount) {
    let all = Double(rows * sequences)
    let wanted = Double(logitRows)
    let attended = all * (Double(position) + Double(rows + 1) / 2)
    let attendedByWanted = wanted * Double(position + rows)
    let products =
      all * Double((layers - 1) * layerWeights + kvWeights)
      + wanted * Double(layerWeights - kvWeights + outputWeights)
    let scores = 2 * Double(queryWidth) * (Double(layers - 1) * attended + attendedByWanted)
    amount.operations += 2 * (products + scores)
    amount.bytes += Double(weightBytes) + Double(sequences) * Double(position) * Double(kvBytesPerToken)
  }
}

extension ModelWork {
  package init(file: any ModelFile, configuration: ModelConfiguration, kvLayout: KVLayout) {
    let matrices = file.tensors.filter { $0.dimensions.count == 2 && $0.name.hasPrefix("blk.") }
    // An embedding beside an output matrix of its own is read a row at a time.
    let hasOutput = file.tensor(named: "output.weight") != nil
    let readWhole = file.tensors.filter { !hasOutput || $0.name != "token_embd.weight" }
    self.init(
      layers: configuration.layers,
      layerWeights: matrices.reduce(0) { $0 + $1.elementCount } / configuration.layers,
      kvWeights: 2 * configuration.kvWidth * configuration.width,
      outputWeights: configuration.vocabularySize * configuration.width,
      weightBytes: readWhole.reduce(0) { $0 + $1.byteRange.count }, queryWidth: configuration.queryWidth,
      kvBytesPerToken: kvLayout.bytesPerBlock / kvLayout.blockSize)
  }
}
