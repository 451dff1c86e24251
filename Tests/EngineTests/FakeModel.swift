import Engine
import KVBlocks
import Models
import TestSupport

/// A model whose next token is a hash of the KV that it finds in its blocks: a wrong block table, a stale block or a
/// bad pull changes the output.
///
/// The KV of position p chains the token with the KV of position p − 1, as a transformer's deeper layers do; the logits
/// hash the keys and values of every position.
final class FakeModel: LanguageModel {
  let vocabularySize: Int
  let contextLength: Int
  let kvLayout: KVLayout
  private let gate: StepGate?
  /// Three numbers a row, a hash of all that the row's logits are a hash of.
  private let hiddenStates = UnsafeMutableBufferPointer<Float>.allocate(capacity: 3 << 12)

  static let vocabularySize = 211

  static func layout(blockSize: Int) -> KVLayout {
    KVLayout(layers: 1, kvHeads: 1, headDim: 2, elementType: .f32, blockSize: blockSize)
  }

  init(
    blockSize: Int, contextLength: Int = 512, vocabularySize: Int = FakeModel.vocabularySize,
    gate: StepGate? = nil
  ) {
    self.vocabularySize = vocabularySize
    self.contextLength = contextLength
    self.kvLayout = Self.layout(blockSize: blockSize)
    self.gate = gate
  }

  deinit { hiddenStates.deallocate() }

  @discardableResult
  func forward(
    _ batch: ForwardBatch, kv: KVMemory, logits: UnsafeMutableBufferPointer<Float>
  ) -> UnsafeBufferPointer<Float> {
    gate?.pass()
    var logitRow = 0
    for sequence in batch.sequences {
      for row in sequence.rows {
        let position = sequence.startPosition + row - sequence.rows.lowerBound
        let previous = position == 0 ? 0 : key(position - 1, sequence.blockTable, kv)
        write(Self.chain(batch.tokens[row], position, after: previous), position, sequence.blockTable, kv)
        guard logitRow < batch.logitRows.count, batch.logitRows[logitRow] == row else { continue }
        let state = (0...position).reduce(into: UInt64(0)) { state, position in
          state = Self.absorb(
            state, key(position, sequence.blockTable, kv), value(position, sequence.blockTable, kv))
        }
        let start = logitRow * vocabularySize
        Self.fill(UnsafeMutableBufferPointer(rebasing: logits[start..<start + vocabularySize]), from: state)
        Self.fill(UnsafeMutableBufferPointer(rebasing: hiddenStates[3 * logitRow..<3 * logitRow + 3]), from: ~state)
        logitRow += 1
      }
    }
    batch.layerIsStored?(0)
    precondition(logitRow == batch.logitRows.count && logits.count == logitRow * vocabularySize)
    return UnsafeBufferPointer(rebasing: hiddenStates[..<(3 * logitRow)])
  }

  // MARK: KV in blocks

  private func key(_ position: Int, _ table: [KVBlockID], _ kv: KVMemory) -> UInt64 {
    slot(position, table, kv, plane: 0).load(as: UInt64.self)
  }

  private func value(_ position: Int, _ table: [KVBlockID], _ kv: KVMemory) -> UInt64 {
    slot(position, table, kv, plane: 1).load(as: UInt64.self)
  }

  private func write(_ key: UInt64, _ position: Int, _ table: [KVBlockID], _ kv: KVMemory) {
    slot(position, table, kv, plane: 0).storeBytes(of: key, as: UInt64.self)
    slot(position, table, kv, plane: 1).storeBytes(of: Self.mix(key), as: UInt64.self)
  }

  private func slot(_ position: Int, _ table: [KVBlockID], _ kv: KVMemory, plane: Int) -> UnsafeMutableRawPointer {
    let block = kv.bytes(of: table[position / kvLayout.blockSize])
    return block.baseAddress! + plane * kvLayout.bytesPerPlane + position % kvLayout.blockSize * 8
  }

  // MARK: The function that it computes

  private static func mix(_ value: UInt64) -> UInt64 {
    var generator = SplitMix64(seed: value)
    return generator.next()
  }

  private static func chain(_ token: Int32, _ position: Int, after previous: UInt64) -> UInt64 {
    mix(previous &+ mix(UInt64(UInt32(bitPattern: token)) << 32 | UInt64(position)))
  }

  private static func absorb(_ state: UInt64, _ key: UInt64, _ value: UInt64) -> UInt64 { mix(state ^ key &+ value) }

  /// Logits in [−4, 4).
  private static func fill(_ logits: UnsafeMutableBufferPointer<Float>, from state: UInt64) {
    var generator = SplitMix64(seed: state)
    for index in logits.indices { logits[index] = Float(generator.next() >> 40) / Float(1 << 21) - 4 }
  }

  /// The hidden state of a prompt's last token, computed without engine, blocks or batches.
  static func expectedHiddenState(_ prompt: [Int32]) -> [Float] {
    let hidden = UnsafeMutableBufferPointer<Float>.allocate(capacity: 3)
    defer { hidden.deallocate() }
    fill(hidden, from: ~state(of: prompt))
    return Array(hidden)
  }

  private static func state(of tokens: [Int32]) -> UInt64 {
    var key: UInt64 = 0
    var state: UInt64 = 0
    for (position, token) in tokens.enumerated() {
      key = chain(token, position, after: key)
      state = absorb(state, key, mix(key))
    }
    return state
  }

  /// What an engine must put out, computed without engine, blocks or batches.
  static func expectedTokens(
    _ prompt: [Int32], _ parameters: SamplingParameters, eosTokenIDs: Set<Int32> = [], maxTokens: Int? = nil
  ) -> [Int32] {
    let scratch = SamplerScratch()
    var sampler = Sampler(
      parameters: parameters, seed: parameters.seed ?? 0, eosTokenIDs: eosTokenIDs, promptTokens: prompt)
    var tokens = prompt
    var output: [Int32] = []
    let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: vocabularySize)
    defer { logits.deallocate() }
    while output.count < min(maxTokens ?? .max, parameters.maxTokens) {
      fill(logits, from: state(of: tokens))
      let next = sampler.sample(logits, scratch: scratch)
      output.append(next.id)
      tokens.append(next.id)
      if next.isStop { break }
    }
    return output
  }
}
