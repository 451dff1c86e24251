import Engine
import Glibc
import TestSupport
import Testing

/// Hand-computed cases, in vLLM's order of operations.
@Suite struct SamplerTests {
  private func sampler(
    prompt: [Int32] = [], eos: Set<Int32> = [], seed: UInt64 = 0, _ set: (inout SamplingParameters) -> Void = { _ in }
  ) -> Sampler {
    var parameters = SamplingParameters()
    parameters.temperature = 0
    set(&parameters)
    return Sampler(parameters: parameters, seed: seed, eosTokenIDs: eos, promptTokens: prompt)
  }

  private func sample(_ sampler: inout Sampler, _ logits: [Float]) -> GeneratedToken {
    var logits = logits
    return logits.withUnsafeMutableBufferPointer { sampler.sample($0, scratch: SamplerScratch()) }
  }

  // MARK: Greedy

  @Test(
    arguments: [
      ([1, 3, 2], 1), ([3, 1, 3], 0), ([-.infinity, -2, -.infinity], 1), ([-.infinity, -.infinity], 0),
      ([.nan, 1, 2], 2), ([5], 0), (Array(repeating: 0, count: 20) + [1], 20), (Array(repeating: 1, count: 20), 0),
    ] as [([Float], Int32)])
  func `Greedy takes the greatest, of equals the lowest id`(logits: [Float], expected: Int32) {
    var sampler = sampler()
    #expect(sample(&sampler, logits).id == expected)
  }

  @Test func `A temperature below 0.00001 is greedy`() {
    var sampler = sampler { $0.temperature = 9e-6 }
    #expect(sample(&sampler, [1, 1.000_001, 1]).id == 1)
  }

  // MARK: Logits changed before

  @Test func `Repetition divides positive logits and multiplies negative ones, of prompt and output`() {
    var sampler = sampler(prompt: [0]) { $0.repetitionPenalty = 2 }
    // Token 0 was in the prompt: 3 → 1.5.
    #expect(sample(&sampler, [3, 2, 1]).id == 1)
    // Tokens 0 and 1 were seen: 1.5, 1.25, 1.4.
    #expect(sample(&sampler, [3, 2.5, 1.4]).id == 0)
    // −1 → −2.
    #expect(sample(&sampler, [-1, -9, -1.9]).id == 2)
  }

  @Test func `Frequency counts each occurrence in the output, presence the first; the prompt does not count`() {
    var frequency = sampler(prompt: [1, 1, 1]) { $0.frequencyPenalty = 0.4 }
    #expect([1, 1, 1, 0].map { _ in sample(&frequency, [1, 2, 0]).id } == [1, 1, 1, 0])
    var presence = sampler(prompt: [1]) { $0.presencePenalty = 0.9 }
    #expect((0..<3).map { _ in sample(&presence, [1, 2, 0]).id } == [1, 1, 1])
    var strong = sampler { $0.presencePenalty = 1.5 }
    #expect((0..<4).map { _ in sample(&strong, [1, 2, 0]).id } == [1, 0, 1, 1])
  }

  @Test func `Bias is added, allowed ids are the only ones, ids out of the vocabulary are ignored`() {
    var biased = sampler { $0.logitBias = [2: 5, 99: 100, -1: 100] }
    #expect(sample(&biased, [1, 2, 0]).id == 2)
    var allowed = sampler { $0.allowedTokenIDs = [0, 2, 99, -5] }
    #expect(sample(&allowed, [1, 9, 2]).id == 2)
    var none = sampler { $0.allowedTokenIDs = [] }
    #expect(sample(&none, [1, 9, 2]).id == 0)
  }

  @Test func `Before min_tokens neither the end of sequence nor a stop token is chosen`() {
    var sampler = sampler(eos: [1]) {
      $0.minTokens = 2
      $0.stopTokenIDs = [2]
    }
    let logits: [Float] = [1, 3, 2]
    let tokens = (0..<3).map { _ in sample(&sampler, logits) }
    #expect(tokens.map(\.id) == [0, 0, 1])
    #expect(tokens.map(\.isStop) == [false, false, true])
    #expect(sampler.stopReason(of: 1) == .stop(token: nil))
    #expect(sampler.stopReason(of: 2) == .stop(token: 2))
    #expect(sampler.stopReason(of: 0) == nil)
  }

  // MARK: Truncation

  /// Probabilities 0.5, 0.25, 0.15, 0.1 at temperature 1, in a mixed order of ids.
  private static let logits: [Float] = [logf(0.25), logf(0.1), logf(0.5), logf(0.15)]

  private func drawn(_ uniforms: [Double], topK: Int = 0, topP: Float = 1, minP: Float = 0) -> [Int32] {
    let scratch = SamplerScratch()
    var logits = Self.logits
    return logits.withUnsafeMutableBufferPointer { logits in
      uniforms.map {
        scratch.draw(from: logits, temperature: 1, topK: topK, topP: topP, minP: minP, uniform: $0)
      }
    }
  }

  @Test func `Without truncation the draw inverts the cumulative distribution in the order of ids`() {
    #expect(drawn([0, 0.24, 0.26, 0.34, 0.36, 0.84, 0.86, 0.999_999]) == [0, 0, 1, 1, 2, 2, 3, 3])
  }

  @Test(
    arguments: [(1, [2]), (2, [0, 2]), (3, [0, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])] as [(Int, [Int32])])
  func `top_k keeps the k most likely`(topK: Int, kept: [Int32]) {
    #expect(Set(drawn((0..<1000).map { Double($0) / 1000 }, topK: topK)) == Set(kept))
  }

  @Test(
    arguments: [(0.01, [2]), (0.49, [2]), (0.51, [0, 2]), (0.76, [0, 2, 3]), (0.91, [0, 1, 2, 3])] as [(Float, [Int32])]
  )
  func `top_p keeps the fewest whose probabilities reach it`(topP: Float, kept: [Int32]) {
    #expect(Set(drawn((0..<1000).map { Double($0) / 1000 }, topP: topP)) == Set(kept))
  }

  @Test func `top_p weighs what top_k has left`() {
    // Of the two that top_k leaves, 0.5 and 0.25, the first has two thirds.
    #expect(Set(drawn((0..<1000).map { Double($0) / 1000 }, topK: 2, topP: 0.66)) == [2])
    #expect(Set(drawn((0..<1000).map { Double($0) / 1000 }, topK: 2, topP: 0.67)) == [0, 2])
  }

  @Test(arguments: [(0.05, [0, 1, 2, 3]), (0.25, [0, 2, 3]), (0.4, [0, 2]), (1, [2])] as [(Float, [Int32])])
  func `min_p drops what is less likely than its share of the best`(minP: Float, kept: [Int32]) {
    #expect(Set(drawn((0..<1000).map { Double($0) / 1000 }, minP: minP)) == Set(kept))
  }

  @Test func `Ties with the k-th are kept, as in vLLM`() {
    var logits: [Float] = [1, 2, 1, 1, 0]
    let ids = logits.withUnsafeMutableBufferPointer { logits in
      Set(
        (0..<1000).map {
          SamplerScratch().draw(
            from: logits, temperature: 1, topK: 2, topP: 1, minP: 0, uniform: Double($0) / 1000)
        })
    }
    #expect(ids == [0, 1, 2, 3])
  }

  @Test(arguments: [UInt64(1), 2, 3, 4])
  func `top_k and top_p over a large vocabulary keep what a full sort keeps`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var logits = (0..<5000).map { _ in Float.random(in: -12...8, using: &random) }
    let topK = Int.random(in: 2...4000, using: &random)
    let topP = Float.random(in: 0.3...0.999, using: &random)
    let sorted = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(topK)
    let weights = sorted.map { Double(expf(logits[$0] - logits[sorted[0]])) }
    let total = weights.reduce(0, +)
    var mass = 0.0
    let count = weights.prefix { weight in
      defer { mass += weight }
      return mass < Double(topP) * total
    }.count
    let scratch = SamplerScratch()
    // The last of the distribution is the least likely that is kept.
    let last = logits.withUnsafeMutableBufferPointer {
      scratch.draw(from: $0, temperature: 1, topK: topK, topP: topP, minP: 0, uniform: 1.0.nextDown)
    }
    #expect(Int(last) == sorted[count - 1])
  }

  @Test func `Logits that are no numbers do not crash a draw`() {
    for logits in [[.nan, .nan], [.infinity, 1], [-.infinity, -.infinity], [.infinity, .infinity]] as [[Float]] {
      for topK in [0, 1] {
        var sampler = sampler {
          $0.temperature = 1
          $0.topK = topK
          $0.topP = 0.5
          $0.minP = 0.1
        }
        #expect(0..<2 ~= sample(&sampler, logits).id)
      }
    }
  }

  // MARK: Randomness

  @Test func `The token at an index depends on the seed and the index alone`() {
    let logits = (0..<50).map { Float($0 % 7) }
    func tokens(_ seed: UInt64) -> [Int32] {
      var sampler = sampler(seed: seed) { $0.temperature = 1 }
      return (0..<30).map { _ in sample(&sampler, logits).id }
    }
    #expect(tokens(1) == tokens(1))
    #expect(tokens(1) != tokens(2))
  }

  @Test func `Draws follow the distribution, over indices and over seeds`() {
    // Chi-square with 3 degrees of freedom is above 16.3 once in a thousand; the seeds are fixed.
    func chiSquare(_ tokens: [Int32]) -> Double {
      zip([0.25, 0.1, 0.5, 0.15], 0..<4).reduce(0) { sum, bin in
        let expected = bin.0 * Double(tokens.count)
        let difference = Double(tokens.count { $0 == Int32(bin.1) }) - expected
        return sum + difference * difference / expected
      }
    }
    #expect(chiSquare(drawn((0..<20_000).map { sampleUniform(seed: 7, index: $0) })) < 16.3)
    #expect(chiSquare(drawn((0..<20_000).map { sampleUniform(seed: $0, index: 3) })) < 16.3)
    #expect(chiSquare(drawn((0..<20_000).map { sampleUniform(seed: $0, index: $0) })) < 16.3)
  }

  @Test func `Temperature sharpens and flattens`() {
    let scratch = SamplerScratch()
    var logits: [Float] = [0, logf(3)]
    let shares = [0.5, 1, 2].map { temperature in
      logits.withUnsafeMutableBufferPointer { logits in
        Double(
          (0..<1000).count {
            scratch.draw(
              from: logits, temperature: Float(temperature), topK: 0, topP: 1, minP: 0,
              uniform: (Double($0) + 0.5) / 1000) == 1
          }) / 1000
      }
    }
    // 9 : 1, 3 : 1, √3 : 1.
    #expect(shares == [0.9, 0.75, 0.634])
  }

  // MARK: Log-probabilities

  @Test func `Log-probabilities are those of the raw logits`() throws {
    var sampler = sampler {
      $0.logprobs = 2
      $0.logitBias = [1: 100]
    }
    let token = sample(&sampler, Self.logits)
    let logprobs = try #require(token.logprobs)
    #expect(token.id == 1)
    #expect(abs(logprobs.logprob - logf(0.1)) < 1e-6)
    #expect(logprobs.top.map(\.id) == [2, 0])
    #expect(abs(logprobs.top[0].logprob - logf(0.5)) < 1e-6)
  }

  @Test func `Equal tokens are reported lowest id first, and as many as were asked for`() throws {
    var sampler = sampler { $0.logprobs = 3 }
    let logprobs = try #require(sample(&sampler, [1, 0, 1, 1, 1]).logprobs)
    #expect(logprobs.top.map(\.id) == [0, 2, 3])
    var all = self.sampler { $0.logprobs = 99 }
    #expect(try #require(sample(&all, [1, 0]).logprobs).top.count == 2)
    var none = self.sampler { $0.logprobs = 0 }
    #expect(try #require(sample(&none, [1, 0]).logprobs).top.isEmpty)
    var unasked = self.sampler()
    #expect(sample(&unasked, [1, 0]).logprobs == nil)
  }
}
