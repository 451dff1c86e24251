import Engine
import TestSupport
import Testing

/// The hidden state of a prompt's last token: the same numbers however it was cut, batched, cached or preempted.
@Suite(.timeLimit(.minutes(1))) struct EmbeddingTests {
  private func embedding(_ prompt: [Int32]) -> GenerationRequest {
    var request = GenerationRequest(id: "e", promptTokens: prompt)
    request.embeds = true
    return request
  }

  private func expect(_ output: Output, embeds prompt: [Int32]) {
    #expect(output.hiddenStates == [FakeModel.expectedHiddenState(prompt)], "\(prompt.count) tokens")
    #expect(output.tokens.isEmpty && output.result.outputTokens == 0)
    #expect(output.result.reason == .stop(token: nil))
  }

  @Test(arguments: [1, 7, 512], [nil, NGramSpeculation(draftTokens: 3, lookup: 1...2)])
  func `Chunks, drafts and generations beside it do not matter`(
    maxBatchedTokens: Int, speculation: NGramSpeculation?
  ) async throws {
    let test = try TestEngine(blocks: 512) {
      $0.maxBatchedTokens = maxBatchedTokens
      $0.maxSequences = 4
      $0.speculation = speculation
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for length in [1, 2, 3, 4, 5, 64, 65, 130, 200] {
        let tokens = [Int32](repeating: 5, count: length / 2) + prompt(length - length / 2, seed: 4)
        group.addTask { expect(try await test.run(embedding(tokens)), embeds: tokens) }
        group.addTask {
          let output = try await test.run(GenerationRequest(id: "g", promptTokens: tokens, sampling: greedy(9)))
          #expect(output.ids == FakeModel.expectedTokens(tokens, greedy(9)) && output.hiddenStates.isEmpty)
        }
      }
      try await group.waitForAll()
    }
    try await test.expectAllFree()
  }

  @Test func `A cached prefix serves it, and it fills the cache`() async throws {
    let test = try TestEngine(blocks: 128)
    for cached in [0, 40, 40] {
      let output = try await test.run(embedding(prompt(42)))
      expect(output, embeds: prompt(42))
      #expect(output.result.promptTokens.prefixCache == cached)
    }
    let other = prompt(42).dropLast() + [7]
    expect(try await test.run(embedding(Array(other))), embeds: Array(other))
    #expect(try await test.settled().generationTokens == 1, "only the one that `settled` asks for")
  }

  @Test func `A preempted one is computed again`() async throws {
    let test = try TestEngine(blocks: 30) { $0.maxBatchedTokens = 8 }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for seed in 0..<6 {
        let tokens = prompt(40, seed: UInt64(seed))
        let request = GenerationRequest(id: "g", promptTokens: tokens, sampling: greedy(50))
        group.addTask { _ = try await test.run(request) }
        group.addTask { expect(try await test.run(embedding(tokens + [1])), embeds: tokens + [1]) }
      }
      try await group.waitForAll()
    }
    #expect(try await test.settled().preemptions > 0)
    try await test.expectAllFree()
  }

  @Test func `It may fill the context, since no token comes after it`() async throws {
    let test = try TestEngine(contextLength: 32)
    expect(try await test.run(embedding(prompt(32))), embeds: prompt(32))
    #expect(throws: EngineError.promptTooLong(tokens: 33, limit: 32)) { try test.engine.submit(embedding(prompt(33))) }
    #expect(throws: EngineError.promptTooLong(tokens: 32, limit: 31)) {
      try test.engine.submit(GenerationRequest(id: "g", promptTokens: prompt(32)))
    }
  }
}
