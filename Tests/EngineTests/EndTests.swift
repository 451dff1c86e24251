import Engine
import Testing

/// How requests end: by a token, by a refusal, by the client, by the operator.
@Suite(.timeLimit(.minutes(5))) struct EndTests {
  // MARK: By a token

  /// The fifth token of the continuation, and the first place where it occurs.
  private static let output = FakeModel.expectedTokens(prompt(9), greedy(12))
  private static let fifth = output[4]
  private static let end = output.firstIndex(of: fifth)! + 1

  @Test func `An end-of-sequence token ends the output, counts, and is marked`() async throws {
    let test = try TestEngine { $0.eosTokenIDs = [Self.fifth] }
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(12)))
    #expect(output.ids == Array(Self.output.prefix(Self.end)))
    #expect(output.tokens.map(\.isStop) == Array(repeating: false, count: Self.end - 1) + [true])
    #expect(output.result.reason == .stop(token: nil))
    #expect(output.result.outputTokens == Self.end)
  }

  @Test func `A stop token names itself`() async throws {
    let test = try TestEngine()
    var sampling = greedy(12)
    sampling.stopTokenIDs = [Self.fifth]
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: sampling))
    #expect(output.ids.count == Self.end)
    #expect(output.result.reason == .stop(token: Self.fifth))
  }

  @Test func `A request that ignores the end of sequence goes on`() async throws {
    let test = try TestEngine { $0.eosTokenIDs = [Self.fifth] }
    var sampling = greedy(12)
    sampling.ignoreEOS = true
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: sampling))
    #expect(output.ids == Self.output)
    #expect(output.tokens.allSatisfy { !$0.isStop })
  }

  @Test func `Before min_tokens no stop token is chosen`() async throws {
    let test = try TestEngine { $0.eosTokenIDs = [Self.fifth] }
    var sampling = greedy(12)
    sampling.minTokens = Self.end
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: sampling))
    #expect(output.ids.count >= Self.end)
    #expect(!output.ids.prefix(Self.end).contains(Self.fifth))
    #expect(output.ids.prefix(Self.end - 1) == Self.output.prefix(Self.end - 1))
  }

  @Test func `Max tokens 0 gives the one token that every request gives`() async throws {
    let test = try TestEngine()
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(0)))
    #expect(output.ids.count == 1)
  }

  // MARK: By a refusal

  @Test func `A prompt that cannot be served is refused with its figures`() async throws {
    let test = try TestEngine(blocks: 4, blockSize: 4, contextLength: 32)
    func refusal(_ prompt: [Int32]) -> EngineError? {
      do {
        _ = try test.engine.submit(GenerationRequest(id: "r", promptTokens: prompt))
        return nil
      } catch { return error }
    }
    #expect(refusal([]) == .emptyPrompt)
    #expect(refusal(prompt(32)) == .promptTooLong(tokens: 32, limit: 31))
    #expect(refusal(prompt(17)) == .promptExceedsPool(tokens: 17, poolTokens: 16))
    #expect(refusal([3, 211]) == .tokenOutOfVocabulary(token: 211, position: 1, vocabularySize: 211))
    #expect(refusal([-1]) == .tokenOutOfVocabulary(token: -1, position: 0, vocabularySize: 211))
    #expect(refusal(prompt(16)) == nil)
    #expect("\(EngineError.promptTooLong(tokens: 32, limit: 31))".contains("32"))
    #expect("\(EngineError.promptTooLong(tokens: 32, limit: 31))".contains("31"))
  }

  @Test func `One request more than may wait is refused, and told when to come again`() async throws {
    let gate = StepGate()
    gate.arm()
    let test = try TestEngine(gate: gate) {
      $0.maxSequences = 1
      $0.maxWaiting = 2
    }
    let request = GenerationRequest(id: "r", promptTokens: prompt(5), sampling: greedy(3))
    let first = try test.engine.submit(request)
    await gate.stopped()
    let others = [try test.engine.submit(request), try test.engine.submit(request)]
    #expect(throws: EngineError.queueFull(waiting: 2, limit: 2, retryAfter: .seconds(1))) {
      try test.engine.submit(request)
    }
    gate.resume()
    for stream in [first] + others { #expect(await collect(stream).result.reason == .length) }
    #expect(try await test.run(request).result.reason == .length)
  }

  // MARK: By the client

  @Test func `A request that waits is cancelled at once, and another may wait`() async throws {
    let gate = StepGate()
    gate.arm()
    let test = try TestEngine(gate: gate) {
      $0.maxSequences = 1
      $0.maxWaiting = 1
    }
    let first = try test.engine.submit(GenerationRequest(id: "1", promptTokens: prompt(5), sampling: greedy(9)))
    await gate.stopped()
    let second = try test.engine.submit(GenerationRequest(id: "2", promptTokens: prompt(5), sampling: greedy(9)))
    test.engine.cancel("2")
    gate.resume()
    let cancelled = await collect(second)
    #expect(cancelled.result.reason == .abort)
    #expect(cancelled.ids.isEmpty)
    let third = try test.engine.submit(GenerationRequest(id: "3", promptTokens: prompt(5), sampling: greedy(1)))
    #expect(await collect(third).result.reason == .length)
    #expect(await collect(first).ids == FakeModel.expectedTokens(prompt(5), greedy(9)))
    try await test.expectAllFree()
  }

  @Test func `A request in mid-prefill is cancelled by the next step`() async throws {
    let gate = StepGate()
    gate.arm()
    let test = try TestEngine(gate: gate) {
      $0.maxSequences = 1
      $0.maxBatchedTokens = 8
    }
    let stream = try test.engine.submit(GenerationRequest(id: "r", promptTokens: prompt(40), sampling: greedy(9)))
    await gate.stopped()
    test.engine.cancel("r")
    gate.resume()
    let output = await collect(stream)
    #expect(output.result.reason == .abort)
    #expect(output.ids.isEmpty)
    try await test.expectAllFree()
    #expect(test.engine.statistics.promptTokens.total == 1, "only the settling request's prompt was finished")
  }

  @Test func `A request in decode is cancelled, and its neighbours do not notice`() async throws {
    let test = try TestEngine.endless()
    let stream = try test.engine.submit(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(.max)))
    async let neighbour = test.run(
      GenerationRequest(id: "n", promptTokens: prompt(7), sampling: seeded(40, seed: 3)))
    var output = Output()
    for await event in stream {
      output.add(event)
      if output.tokens.count == 3 { test.engine.cancel("r") }
    }
    #expect(output.results.count == 1)
    #expect(output.result.reason == .abort)
    #expect(output.result.outputTokens == output.tokens.count)
    #expect(try await neighbour.ids == FakeModel.expectedTokens(prompt(7), seeded(40, seed: 3)))
    try await test.expectAllFree()
  }

  @Test func `Dropping the stream cancels the request`() async throws {
    let test = try TestEngine.endless()
    do {
      var events = try test.engine.submit(
        GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(.max))
      ).makeAsyncIterator()
      _ = await events.next()
    }
    try await test.expectAllFree()
  }

  @Test func `Cancelling what is not there is harmless`() async throws {
    let test = try TestEngine()
    test.engine.cancel("nobody")
    try await test.expectAllFree()
  }

  // MARK: By the operator

  @Test func `A shutdown lets requests end within its grace, and refuses new ones`() async throws {
    let gate = StepGate()
    gate.arm()
    let test = try TestEngine(gate: gate)
    let stream = try test.engine.submit(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(20)))
    await gate.stopped()
    async let shutdown: Void = test.engine.shutdown(grace: .seconds(60))
    async let output = collect(stream)
    gate.resume()
    #expect(await output.ids == FakeModel.expectedTokens(prompt(9), greedy(20)))
    await shutdown
    #expect(throws: EngineError.shuttingDown) {
      try test.engine.submit(GenerationRequest(id: "late", promptTokens: [1]))
    }
    #expect(test.engine.statistics.freeBlocks == test.engine.statistics.totalBlocks)
  }

  @Test func `After the grace what is left is aborted`() async throws {
    let test = try TestEngine.endless()
    let stream = try test.engine.submit(GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(.max)))
    await test.engine.shutdown(grace: .zero)
    #expect(await collect(stream).result.reason == .abort)
    #expect(test.engine.statistics.freeBlocks == test.engine.statistics.totalBlocks)
  }

  @Test func `A second shutdown returns as well`() async throws {
    let test = try TestEngine()
    await test.engine.shutdown(grace: .zero)
    await test.engine.shutdown(grace: .zero)
  }
}
