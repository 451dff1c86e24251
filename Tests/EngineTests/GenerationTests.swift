import Engine
import Testing

/// One engine, nothing moved: batches, chunks, prefix cache and preemption must not change one token.
@Suite(.timeLimit(.minutes(5))) struct GenerationTests {
  @Test(arguments: [4, 16])
  func `Prompts of every length up to 100 give the model's own continuation`(blockSize: Int) async throws {
    let test = try TestEngine(blocks: 256, blockSize: blockSize)
    for length in 1...100 {
      let output = try await test.run(
        GenerationRequest(id: "r", promptTokens: prompt(length), sampling: greedy(12)))
      #expect(output.ids == FakeModel.expectedTokens(prompt(length), greedy(12)), "\(length) tokens")
      #expect(output.result.reason == .length)
      #expect(output.result.outputTokens == 12)
      #expect(output.result.promptTokens.total == length)
    }
    try await test.expectAllFree()
  }

  @Test(arguments: [1, 3, 7, 64, 512], [1, 3, 8])
  func `Chunks and batches change nothing`(maxBatchedTokens: Int, maxSequences: Int) async throws {
    let test = try TestEngine(blocks: 512, blockSize: 4) {
      $0.maxBatchedTokens = maxBatchedTokens
      $0.maxSequences = maxSequences
    }
    try await test.expectRightAnswers(to: (0..<12).map { (1 + $0 * 9, seeded(10, seed: UInt64($0))) })
    try await test.expectAllFree()
  }

  @Test(arguments: [14, 20, 30])
  func `Preempted requests go on where they were`(blocks: Int) async throws {
    let test = try TestEngine(blocks: blocks, blockSize: 4)
    try await test.expectRightAnswers(to: (0..<8).map { (5 + $0 * 2, seeded(30, seed: UInt64($0))) })
    let statistics = try await test.settled()
    #expect(statistics.preemptions > 0)
    // What a preemption computes again is not counted again.
    let prompts = (0..<8).reduce(0) { $0 + 5 + $1 * 2 } + 1
    #expect(statistics.promptTokens.total == prompts)
    #expect(statistics.generationTokens == 8 * 30 + 1)
    try await test.expectAllFree()
  }

  @Test func `Without prefix caching the answers are the same, and nothing hits`() async throws {
    let test = try TestEngine(blocks: 20, blockSize: 4) { $0.enablePrefixCaching = false }
    for _ in 0..<2 { try await test.expectRightAnswers(to: (0..<6).map { (20, seeded(20, seed: UInt64($0))) }) }
    #expect(test.engine.statistics.prefixCacheHits == 0)
    try await test.expectAllFree()
  }

  @Test(arguments: [(1, 0), (4, 0), (5, 4), (8, 4), (9, 8), (21, 20)])
  func `A prompt seen before hits in whole blocks, and computes its last token at least`(
    length: Int, hit: Int
  ) async throws {
    let test = try TestEngine(blockSize: 4)
    let request = GenerationRequest(id: "r", promptTokens: prompt(length), sampling: greedy(3))
    let first = try await test.run(request)
    let second = try await test.run(request)
    #expect(first.ids == second.ids)
    #expect(first.result.promptTokens.prefixCache == 0)
    #expect(second.result.promptTokens.prefixCache == hit)
    #expect(second.result.promptTokens.computed == length - hit)
    #expect(test.engine.statistics.prefixCacheHits == hit)
    #expect(test.engine.statistics.prefixCacheQueries == 2 * length)
    try await test.expectAllFree()
  }

  @Test func `Rows of the model that the tokenizer lacks are never chosen, whatever asks for them`() async throws {
    let test = try TestEngine { $0.vocabularySize = 50 }
    var sampling = seeded(60, seed: 4)
    sampling.logitBias = [50: 100, 210: 100]
    sampling.allowedTokenIDs = [7, 9, 50, 210]
    for parameters in [seeded(60, seed: 3), sampling] {
      let output = try await test.run(GenerationRequest(id: "r", promptTokens: [1, 2], sampling: parameters))
      #expect(output.ids.count == 60)
      #expect(output.ids.allSatisfy { $0 < 50 })
    }
    #expect(throws: EngineError.tokenOutOfVocabulary(token: 50, position: 0, vocabularySize: 50)) {
      try test.engine.submit(GenerationRequest(id: "r", promptTokens: [50]))
    }
  }

  @Test func `Generated tokens are found by the next turn's prompt`() async throws {
    let test = try TestEngine(blockSize: 4)
    let first = try await test.run(GenerationRequest(id: "1", promptTokens: prompt(6), sampling: greedy(11)))
    let next = prompt(6) + first.ids + prompt(5, seed: 1)
    let second = try await test.run(GenerationRequest(id: "2", promptTokens: next, sampling: greedy(4)))
    // 6 + 11 tokens, of which the last has no KV.
    #expect(second.result.promptTokens.prefixCache == 16)
    #expect(second.ids == FakeModel.expectedTokens(next, greedy(4)))
  }

  @Test func `Requests with different salts share nothing`() async throws {
    let test = try TestEngine(blockSize: 4)
    for salt in [nil, "a", "b"] {
      let output = try await test.run(
        GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(2), cacheSalt: salt))
      #expect(output.result.promptTokens.prefixCache == 0)
    }
  }

  @Test func `A running request shares its computed blocks with one that comes later`() async throws {
    let gate = StepGate()
    gate.arm(after: 1)
    let test = try TestEngine(blocks: 12, blockSize: 4, gate: gate)
    let first = try test.engine.submit(GenerationRequest(id: "1", promptTokens: prompt(32), sampling: greedy(9)))
    await gate.stopped()
    // 9 of 12 blocks are held: another request of 8 fits only if they share 7.
    let second = try test.engine.submit(GenerationRequest(id: "2", promptTokens: prompt(32), sampling: greedy(2)))
    gate.resume()
    let output = await collect(second)
    #expect(output.result.promptTokens.prefixCache == 28)
    #expect(output.ids == FakeModel.expectedTokens(prompt(32), greedy(2)))
    #expect(await collect(first).ids == FakeModel.expectedTokens(prompt(32), greedy(9)))
    #expect(test.engine.statistics.preemptions == 0)
    try await test.expectAllFree()
  }

  @Test func `A sequence that fills the whole pool ends by length, right up to its last slot`() async throws {
    let test = try TestEngine(blocks: 5, blockSize: 4)
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(7), sampling: greedy(100)))
    // 20 slots, and the last token needs none.
    #expect(output.ids == FakeModel.expectedTokens(prompt(7), greedy(100), maxTokens: 14))
    #expect(output.result.reason == .length)
    try await test.expectAllFree()
  }

  @Test func `Many sequences that each could fill the pool all come to their end`() async throws {
    let test = try TestEngine(blocks: 5, blockSize: 4)
    try await test.expectRightAnswers(to: (0..<6).map { (1 + $0 * 3, greedy(20 - $0 * 3)) })
    #expect(test.engine.statistics.preemptions > 0)
    try await test.expectAllFree()
  }

  @Test func `A sequence that reaches the context ends by length`() async throws {
    let test = try TestEngine(contextLength: 24)
    let output = try await test.run(GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(100)))
    #expect(output.ids.count == 4)
    #expect(output.result.reason == .length)
  }

  @Test func `Stations of a request are in order`() async throws {
    let test = try TestEngine()
    let timings = try await test.run(
      GenerationRequest(id: "r", promptTokens: prompt(9), sampling: greedy(3))
    ).result.timings
    let scheduled = try #require(timings.scheduled)
    let first = try #require(timings.firstToken)
    #expect(timings.queued <= scheduled && scheduled <= first && first <= timings.finished)
    #expect(timings.queueTime + timings.prefillTime! == timings.timeToFirstToken)
    #expect(timings.prefillTime! + timings.decodeTime! == timings.inferenceTime)
  }
}

extension TestEngine {
  /// All at once; (prompt length, sampling) each.
  func expectRightAnswers(to requests: [(length: Int, sampling: SamplingParameters)]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, request) in requests.enumerated() {
        let prompt = prompt(request.length, seed: UInt64(index))
        let stream = try engine.submit(
          GenerationRequest(id: "r\(index)", promptTokens: prompt, sampling: request.sampling))
        group.addTask {
          let output = await collect(stream)
          #expect(output.ids == FakeModel.expectedTokens(prompt, request.sampling))
          #expect(output.results.count == 1)
          #expect(output.result.promptTokens.total == prompt.count)
        }
      }
      try await group.waitForAll()
    }
  }
}
