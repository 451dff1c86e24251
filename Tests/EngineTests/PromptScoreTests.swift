import Engine
import TestSupport
import Testing

/// The log-probabilities of a prompt: the same numbers however it was cut, batched or preempted.
@Suite(.timeLimit(.minutes(1))) struct PromptScoreTests {
  private func scoring(_ prompt: [Int32], top: Int = 2, handoff: GenerationRequest.Handoff = .none) -> GenerationRequest
  {
    var parameters = greedy(4)
    parameters.promptLogprobs = top
    return GenerationRequest(id: "r", promptTokens: prompt, sampling: parameters, handoff: handoff)
  }

  private func numbers(_ output: Output) -> [[Float]] {
    (output.promptScores.first ?? []).map { [$0.logprob, Float($0.rank)] + $0.top.map(\.logprob) }
  }

  @Test func `A prompt's scores are what its tokens had when they were output`() async throws {
    let test = try TestEngine(blocks: 128)
    var parameters = greedy(100)
    parameters.logprobs = 3
    let made = try await test.run(GenerationRequest(id: "a", promptTokens: prompt(9), sampling: parameters))
    let scored = try await test.run(scoring(prompt(9) + made.ids, top: 3))
    let scores = try #require(scored.promptScores.first)
    #expect(scored.promptScores.count == 1 && scores.count == 9 + 100 - 1)
    #expect(scores.suffix(100).map(\.logprob) == made.tokens.compactMap { $0.logprobs?.logprob })
    #expect(scores.suffix(100).allSatisfy { $0.rank == 1 && $0.top.count == 3 && $0.top[0].logprob == $0.logprob })
    // Computed whole, though the cache knows all of it.
    #expect(scored.result.promptTokens.prefixCache == 0)
    try await test.expectAllFree()
  }

  @Test(arguments: [1, 7, 512], [1, 3])
  func `Chunks and batches change no score`(maxBatchedTokens: Int, maxSequences: Int) async throws {
    let test = try TestEngine(blocks: 512) {
      $0.maxBatchedTokens = maxBatchedTokens
      $0.maxSequences = maxSequences
    }
    let lone = try TestEngine(blocks: 512)
    let prompts = [1, 2, 64, 65, 66, 130, 200].map { prompt($0, seed: 4) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for prompt in prompts {
        let request = scoring(prompt)
        group.addTask {
          let (output, expected) = (try await test.run(request), try await lone.run(request))
          #expect(self.numbers(output) == self.numbers(expected), "\(prompt.count) tokens")
          #expect(output.promptScores.map(\.count) == [prompt.count - 1] && output.ids == expected.ids)
        }
      }
      try await group.waitForAll()
    }
    try await test.expectAllFree()
  }

  @Test func `A preempted prompt is scored once`() async throws {
    let test = try TestEngine(blocks: 30)
    let prompts = (0..<8).map { prompt(30 + $0, seed: 6) }
    let lone = try TestEngine(blocks: 64)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for prompt in prompts {
        var request = scoring(prompt)
        request.sampling.maxTokens = 40
        let sent = request
        group.addTask {
          let (output, expected) = (try await test.run(sent), try await lone.run(sent))
          #expect(self.numbers(output) == self.numbers(expected) && output.ids == expected.ids)
        }
      }
      try await group.waitForAll()
    }
    #expect(try await test.settled().preemptions > 0)
    try await test.expectAllFree()
  }

  @Test func `A request without scores gets none, and one of a single token gets an empty list`() async throws {
    let test = try TestEngine()
    let plain = try await test.run(GenerationRequest(id: "a", promptTokens: prompt(5), sampling: greedy(1)))
    #expect(plain.promptScores.isEmpty)
    #expect(try await test.run(scoring(prompt(1))).promptScores.map(\.count) == [0])
  }
}
