import KVBlocks

/// What the engine knows of a model: token ids + KV blocks in, logits and hidden states out.
///
/// Not `Sendable`: the step loop's thread owns it. A row's logits are the same bits whatever else is in the batch,
/// however the prompt was cut into chunks, and whoever computed the KV blocks.
package protocol LanguageModel: AnyObject {
  var vocabularySize: Int { get }
  /// The longest sequence, prompt and output together, in tokens.
  var contextLength: Int { get }
  var kvLayout: KVLayout { get }

  /// Computes the keys and values of every token in `batch` into its slot, and the logits of the rows asked for.
  ///
  /// - Parameters:
  ///   - batch: New tokens of one or more sequences; every earlier position's KV is already in its blocks.
  ///   - logits: `[batch.logitRows.count, vocabularySize]`, row-major, in the order of `batch.logitRows`.
  /// - Returns: The same rows' hidden states after the last norm, which the output matrix makes the logits of:
  ///   `[batch.logitRows.count, width]`, the model's own until the next call.
  @discardableResult
  func forward(
    _ batch: ForwardBatch, kv: KVMemory, logits: UnsafeMutableBufferPointer<Float>
  ) -> UnsafeBufferPointer<Float>
}

/// The new tokens of one step: the sequences' rows lie one after the other.
package struct ForwardBatch {
  package struct Sequence {
    /// Rows of `tokens` that belong to this sequence.
    package var rows: Range<Int>
    /// Position of the first of these tokens in the sequence; positions before it are in the blocks.
    package var startPosition: Int
    /// Block of position p: `blockTable[p / blockSize]`. Covers every position up to the last of `rows`.
    package var blockTable: [KVBlockID]

    package init(rows: Range<Int>, startPosition: Int, blockTable: [KVBlockID]) {
      self.rows = rows
      self.startPosition = startPosition
      self.blockTable = blockTable
    }
  }

  package var tokens: [Int32] = []
  package var sequences: [Sequence] = []
  /// Rows whose logits are wanted, ascending.
  package var logitRows: [Int] = []
  /// Called by the thread that called `forward`, with each layer in turn, when the keys and values of all the batch's tokens
  /// are in that layer of their slots, for good.
  package var layerIsStored: ((Int) -> Void)?

  package init() {}
}
