import KVBlocks
import Models

/// A model with KV for one test's sequences: runs the test as often as asked.
///
/// One thread uses it, as the step loop uses a model.
final class TestRun {
  private let model: LlamaModel
  private let test: BenchTest
  /// Prompt tokens in one step at most.
  private let stepTokens: Int
  private let kv: KVMemory
  private let tables: [[KVBlockID]]
  private let logits: UnsafeMutableBufferPointer<Float>
  private let tokens: [Int32]

  /// Fills the contexts up to the test's depth.
  /// - Precondition: The test fits the model's context.
  init(_ test: BenchTest, model: LlamaModel, stepTokens: Int) throws(EngineBenchError) {
    self.model = model
    self.test = test
    self.stepTokens = stepTokens
    let blocks = model.kvLayout.blocks(forTokens: test.contextLength)
    do throws(KVMemoryError) {
      kv = try KVMemory(layout: model.kvLayout, blockCount: blocks * test.sequences)
    } catch {
      throw .noKVMemory(error)
    }
    tables = (0..<test.sequences).map { sequence in
      (0..<blocks).map { KVBlockID(Int32(sequence * blocks + $0)) }
    }
    logits = .allocate(capacity: test.sequences * model.vocabularySize)
    // Any tokens do, but not all the same: an embedding row should not stay in the cache.
    let vocabulary = model.vocabularySize
    tokens = (0..<test.contextLength).map { Int32($0 &* 7919 % vocabulary) }
    fillContexts()
  }

  deinit { logits.deallocate() }

  /// Runs part of the test, enough for threads, caches and pages to be as they stay.
  func warmUp() {
    switch test.phase {
    case .prefill: prefill(test.depth..<min(test.depth + stepTokens, test.contextLength))
    case .decode: decode(test.depth..<min(test.depth + 8, test.contextLength))
    }
  }

  /// - Returns: New tokens of all sequences a second.
  func measure() -> Double {
    let positions = test.depth..<test.contextLength
    let duration = seconds {
      switch test.phase {
      case .prefill: prefill(positions)
      case .decode: decode(positions)
      }
    }
    return Double(test.tokens * test.sequences) / duration
  }

  /// Computes the first sequence's KV; the others get copies, so that each reads memory of its own.
  private func fillContexts() {
    guard test.depth > 0 else { return }
    prefill(0..<test.depth)
    for table in tables.dropFirst() {
      for (from, to) in zip(tables[0], table) { kv.bytes(of: to).copyMemory(from: .init(kv.bytes(of: from))) }
    }
  }

  private func prefill(_ positions: Range<Int>) {
    var start = positions.lowerBound
    while start < positions.upperBound {
      let end = min(start + stepTokens, positions.upperBound)
      var batch = ForwardBatch()
      batch.tokens = Array(tokens[start..<end])
      batch.sequences = [.init(rows: 0..<end - start, startPosition: start, blockTable: tables[0])]
      batch.logitRows = end == positions.upperBound ? [end - start - 1] : []
      model.forward(batch, kv: kv, logits: logits)
      start = end
    }
  }

  private func decode(_ positions: Range<Int>) {
    var batch = ForwardBatch()
    batch.logitRows = Array(tables.indices)
    batch.sequences = tables.indices.map { .init(rows: $0..<$0 + 1, startPosition: 0, blockTable: tables[$0]) }
    for position in positions {
      batch.tokens = tables.indices.map { tokens[(position + $0) % tokens.count] }
      for sequence in tables.indices { batch.sequences[sequence].startPosition = position }
      model.forward(batch, kv: kv, logits: logits)
    }
  }
}
