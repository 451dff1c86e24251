import KVBlocks
import Kernels
import ModelFiles
import Models
import TestSupport

/// A model with a KV pool, and a way to call it with little ceremony.
final class ModelRun {
  let model: LlamaModel
  let kv: KVMemory
  private var freeBlocks: [KVBlockID]

  /// - Parameter shuffled: Whether block tables are scattered over the pool.
  init(
    path: String, threads: Int = 2, blocks: Int = 64, blockSize: Int = 16,
    kvElementType: KVLayout.ElementType = .f16, shuffled: Bool = false, maxContext: Int? = nil,
    activations: ActivationType = .standard
  ) throws {
    model = try LlamaModel(
      file: openModel(path: path), threads: ThreadPool(threads: threads), maxContext: maxContext, blockSize: blockSize,
      kvElementType: kvElementType, activations: activations)
    kv = try KVMemory(layout: model.kvLayout, blockCount: blocks)
    freeBlocks = (0..<Int32(blocks)).map { KVBlockID($0) }
    if shuffled {
      var dice = SplitMix64(seed: 42)
      freeBlocks.shuffle(using: &dice)
    }
  }

  /// One sequence and the blocks it holds.
  struct Sequence {
    var length = 0
    var blocks: [KVBlockID] = []
  }

  enum LogitRows { case all, last, none }

  /// A step: new tokens of some sequences.
  /// - Returns: For each sequence the logits of the rows it wants.
  func step(_ parts: [(sequence: Int, tokens: [Int32], wants: LogitRows)], on sequences: inout [Sequence]) -> [[Logits]]
  {
    var batch = ForwardBatch()
    for part in parts {
      let start = batch.tokens.count
      batch.tokens += part.tokens
      let rows = start..<batch.tokens.count
      let length = sequences[part.sequence].length + part.tokens.count
      while sequences[part.sequence].blocks.count < model.kvLayout.blocks(forTokens: length) {
        sequences[part.sequence].blocks.append(freeBlocks.removeLast())
      }
      batch.sequences.append(
        ForwardBatch.Sequence(
          rows: rows, startPosition: sequences[part.sequence].length, blockTable: sequences[part.sequence].blocks))
      sequences[part.sequence].length = length
      switch part.wants {
      case .all: batch.logitRows += rows
      case .last: batch.logitRows.append(rows.upperBound - 1)
      case .none: break
      }
    }
    var rows = forward(batch)[...]
    return parts.map { part in
      let count = part.wants == .all ? part.tokens.count : part.wants == .last ? 1 : 0
      defer { rows = rows.dropFirst(count) }
      return Array(rows.prefix(count))
    }
  }

  /// One new sequence, in chunks of these lengths (the last takes the rest); its blocks are free again afterwards.
  /// - Returns: The logits of every row.
  func logits(of tokens: [Int32], chunks: [Int] = []) -> [Logits] {
    var sequences = [Sequence()]
    var rows: [Logits] = []
    var start = 0
    for length in chunks + [tokens.count] where start < tokens.count {
      let end = min(start + length, tokens.count)
      rows += step([(0, Array(tokens[start..<end]), .all)], on: &sequences)[0]
      start = end
    }
    free(sequences)
    return rows
  }

  func free(_ sequences: [Sequence]) { for sequence in sequences { freeBlocks += sequence.blocks.reversed() } }

  /// Of the rows of the last `step`.
  private(set) var hiddenStates: [[Float]] = []

  private func forward(_ batch: ForwardBatch) -> [Logits] {
    let vocabulary = model.vocabularySize
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, batch.logitRows.count * vocabulary))
    buffer.initialize(repeating: .nan)
    defer { buffer.deallocate() }
    let hidden = model.forward(batch, kv: kv, logits: buffer)
    let width = model.configuration.width
    hiddenStates = batch.logitRows.indices.map { Array(hidden[$0 * width..<($0 + 1) * width]) }
    return batch.logitRows.indices.map { Array(buffer[$0 * vocabulary..<($0 + 1) * vocabulary]) }
  }
}

/// One row of logits.
typealias Logits = [Float]

extension Logits {
  var argmax: Int32 { Int32(indices.max { self[$0] < self[$1] }!) }

  /// Equal as bits, so that -0 and NaN count.
  func isSameBits(as other: Logits) -> Bool { map(\.bitPattern) == other.map(\.bitPattern) }
}

/// Tokens of the tiny vocabulary, or of any with more than 262.
func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
  var dice = SplitMix64(seed: seed)
  return (0..<count).map { _ in Int32.random(in: 3..<262, using: &dice) }
}
