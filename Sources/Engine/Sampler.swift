/// Chooses one request's next token from its logits, as vLLM's V1 sampler does.
///
/// The order is vLLM's: the grammar; log-probabilities from the logits that it leaves; allowed ids, `bad_words`,
/// `min_tokens`, `logit_bias`; penalties; greedy, or temperature, `min_p`, `top_k`, `top_p` and a draw. The token at output index i depends on the logits, the
/// tokens before it and (seed, i): not on the batch, the worker, a preemption, or a move to another worker.
package struct Sampler: Sendable {
  /// Below it vLLM takes the most likely token (`_SAMPLING_EPS`).
  static let greedyTemperature: Float = 1e-5

  package let parameters: SamplingParameters
  package let seed: UInt64
  /// Output tokens chosen here so far.
  package private(set) var outputCount = 0
  /// The output index of the first token chosen here.
  private let firstIndex: Int

  private let eosTokenIDs: Set<Int32>
  private let penalizes: Bool
  private var promptTokens: Set<Int32> = []
  private var outputCounts: [Int32: Int] = [:]
  /// The whole output, if there are `badWords`.
  private var output: [Int32] = []
  private var constraint: (any TokenConstraint)?
  /// The grammar has come to its end: whatever the request says, the output does too.
  private var mustEnd = false

  /// - Parameters:
  ///   - earlierOutput: How many of `promptTokens`, the last ones, are output of a sampler before this one.
  ///   - constraint: Before the first token of the output, `earlierOutput` included.
  package init(
    parameters: SamplingParameters, seed: UInt64, eosTokenIDs: Set<Int32>, promptTokens: [Int32],
    earlierOutput: Int = 0, constraint: (any TokenConstraint)? = nil
  ) {
    self.parameters = parameters
    self.constraint = constraint
    self.seed = seed
    self.eosTokenIDs = eosTokenIDs
    firstIndex = earlierOutput
    penalizes =
      parameters.repetitionPenalty != 1 || parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0
    if parameters.repetitionPenalty != 1 { self.promptTokens = Set(promptTokens.dropLast(earlierOutput)) }
    if penalizes {
      for token in promptTokens.suffix(earlierOutput) { outputCounts[token, default: 0] += 1 }
    }
    if !parameters.badWords.isEmpty { output = promptTokens.suffix(earlierOutput) }
    for token in promptTokens.suffix(earlierOutput) { self.constraint?.advance(token) }
  }

  /// - Parameter logits: `[vocabularySize]`, finite or −∞; changed in place.
  package mutating func sample(
    _ logits: UnsafeMutableBufferPointer<Float>, scratch: SamplerScratch
  ) -> GeneratedToken {
    constrain(logits)
    if parameters.logprobs != nil { scratch.keep(logits) }
    mask(logits)
    penalize(logits)
    let token: Int32
    if parameters.temperature < Self.greedyTemperature {
      token = Int32(indexOfMaximum(logits))
    } else {
      token = scratch.draw(
        from: logits, temperature: parameters.temperature, topK: parameters.topK, topP: parameters.topP,
        minP: parameters.minP, uniform: sampleUniform(seed: seed, index: UInt64(firstIndex + outputCount)))
    }
    outputCount += 1
    if penalizes { outputCounts[token, default: 0] += 1 }
    if !parameters.badWords.isEmpty { output.append(token) }
    constraint?.advance(token)
    return GeneratedToken(
      id: token, isStop: stopReason(of: token) != nil,
      logprobs: parameters.logprobs.map { scratch.logprobs(of: token, top: $0) })
  }

  /// Whether the output ends with `token`, the newest; nil: it goes on.
  package func stopReason(of token: Int32) -> GenerationResult.FinishReason? {
    if mustEnd { return .stop(token: nil) }
    guard outputCount >= parameters.minTokens else { return nil }
    if !parameters.ignoreEOS || constraint != nil, eosTokenIDs.contains(token) { return .stop(token: nil) }
    if parameters.stopTokenIDs.contains(token) { return .stop(token: token) }
    return nil
  }

  // MARK: Changes to the logits

  /// What the grammar has no way on for is an end, so that no output hangs.
  private mutating func constrain(_ logits: UnsafeMutableBufferPointer<Float>) {
    guard let mask = constraint?.mask() else { return }
    mustEnd = mask.isEmpty
    let ends: [(Int32, Float)] =
      mask.canEnd || mustEnd
      ? eosTokenIDs.compactMap { logits.indices.contains(Int($0)) ? ($0, logits[Int($0)]) : nil } : []
    for id in logits.indices where !mask.allows(id) { logits[id] = -.infinity }
    for (id, value) in ends { logits[Int(id)] = value }
  }

  private func mask(_ logits: UnsafeMutableBufferPointer<Float>) {
    if let allowed = parameters.allowedTokenIDs { keepOnly(allowed, of: logits) }
    for word in parameters.badWords
    where output.count >= word.count - 1 && output.suffix(word.count - 1) == word.dropLast() {
      set(logits, word[word.count - 1]) { $0 = -.infinity }
    }
    if outputCount < parameters.minTokens, !mustEnd {
      for id in eosTokenIDs { set(logits, id) { $0 = -.infinity } }
      for id in parameters.stopTokenIDs { set(logits, id) { $0 = -.infinity } }
    }
    for (id, bias) in parameters.logitBias { set(logits, id) { $0 += bias } }
  }

  private func keepOnly(_ allowed: [Int32], of logits: UnsafeMutableBufferPointer<Float>) {
    let kept = allowed.compactMap { logits.indices.contains(Int($0)) ? (Int($0), logits[Int($0)]) : nil }
    logits.update(repeating: -.infinity)
    for (index, value) in kept { logits[index] = value }
  }

  private func penalize(_ logits: UnsafeMutableBufferPointer<Float>) {
    guard penalizes else { return }
    let repetition = parameters.repetitionPenalty
    let seen: (inout Float) -> Void = { $0 = $0 > 0 ? $0 / repetition : $0 * repetition }
    if repetition != 1 {
      for id in promptTokens { set(logits, id, seen) }
    }
    for (id, count) in outputCounts {
      if repetition != 1, !promptTokens.contains(id) { set(logits, id, seen) }
      set(logits, id) { $0 -= parameters.frequencyPenalty * Float(count) + parameters.presencePenalty }
    }
  }

  private func set(_ logits: UnsafeMutableBufferPointer<Float>, _ id: Int32, _ change: (inout Float) -> Void) {
    if logits.indices.contains(Int(id)) { change(&logits[Int(id)]) }
  }
}

/// A number in [0, 1) that only (seed, index) decides: no state to keep, hand over or recompute.
///
/// SplitMix64's output function over two words. Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
/// generators".
package func sampleUniform(seed: UInt64, index: UInt64) -> Double {
  func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  return Double(mix(mix(seed) &+ index) >> 11) * 0x1p-53
}

/// The first index of the greatest value; 0 if all are −∞ or none is a number.
package func indexOfMaximum(_ values: UnsafeMutableBufferPointer<Float>) -> Int {
  let greatest = maximum(values)
  guard greatest > -.infinity else { return 0 }
  return values.firstIndex(of: greatest)!
}

/// The greatest value that is a number; −∞ if there is none.
func maximum(_ values: UnsafeMutableBufferPointer<Float>) -> Float {
  var lanes = SIMD8<Float>(repeating: -.infinity)
  var index = 0
  while index + 8 <= values.count {
    let chunk = UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: SIMD8<Float>.self)
    lanes.replace(with: chunk, where: chunk .> lanes)
    index += 8
  }
  var greatest = lanes.max()
  while index < values.count {
    if values[index] > greatest { greatest = values[index] }
    index += 1
  }
  return greatest
}
