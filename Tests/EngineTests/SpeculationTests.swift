import Engine
import KVBlocks
import Models
import TestSupport
import Testing

/// Prompt lookup: what it guesses, and that the output does not show it.
@Suite(.timeLimit(.minutes(5))) struct SpeculationTests {
  struct Lookup: Sendable {
    var tokens: [Int32]
    var limit = 8
    var draft: [Int32]
  }

  @Test(arguments: [
    Lookup(tokens: [], draft: []), Lookup(tokens: [1], draft: []), Lookup(tokens: [1, 2, 3], draft: []),
    // One token alone is too short for a lookup of two.
    Lookup(tokens: [5, 1, 6, 1], draft: []),
    Lookup(tokens: [1, 2, 3, 4, 5, 1, 2], draft: [3, 4, 5]),
    Lookup(tokens: [1, 2, 3, 4, 5, 1, 2], limit: 2, draft: [3, 4]),
    Lookup(tokens: [1, 2, 3, 4, 5, 1, 2], limit: 0, draft: []),
    Lookup(tokens: [1, 2, 3, 4, 5, 1, 2], limit: -4, draft: []),
    // The longer match goes first, though it is older; among equals the later one.
    Lookup(tokens: [7, 1, 2, 8, 9, 0, 1, 2, 6, 7, 1, 2], draft: [8, 9, 0]),
    Lookup(tokens: [1, 2, 8, 8, 8, 1, 2, 6, 6, 6, 1, 2], draft: [6, 6, 6]),
    // What repeats itself goes on so, as far as it is known.
    Lookup(tokens: [4, 4, 4, 4], draft: [4]), Lookup(tokens: [1, 2, 1, 2, 1, 2], draft: [1, 2]),
  ])
  func `A draft is what followed the last tokens before`(lookup: Lookup) {
    let speculation = NGramSpeculation(draftTokens: 3, lookup: 2...3)
    #expect(Array(speculation.draft(after: lookup.tokens, limit: lookup.limit)) == lookup.draft)
  }

  /// Few tokens may be chosen, so that lookups find something, now right, now wrong.
  private func sampling(_ maxTokens: Int, seed: UInt64?) -> SamplingParameters {
    var sampling = seed.map { seeded(maxTokens, seed: $0) } ?? greedy(maxTokens)
    sampling.allowedTokenIDs = [3, 4]
    return sampling
  }

  @Test(arguments: [1, 2, 5], [5, 16, 512])
  func `The tokens are those without it, in any batch`(draftTokens: Int, maxBatchedTokens: Int) async throws {
    let test = try TestEngine(blocks: 512, blockSize: 4) {
      $0.speculation = NGramSpeculation(draftTokens: draftTokens, lookup: 1...3)
      $0.maxBatchedTokens = maxBatchedTokens
      $0.maxSequences = 4
    }
    let seeds = (0..<12).map { $0 % 2 == 0 ? nil : UInt64($0) }
    try await test.expectRightAnswers(to: (0..<12).map { (1 + $0 * 3, sampling(40, seed: seeds[$0])) })
    let statistics = test.engine.statistics
    #expect(statistics.generationTokens == 12 * 40)
    #expect(statistics.acceptedDraftTokens > 0)
    #expect(statistics.acceptedDraftTokens < statistics.draftTokens)
    #expect(statistics.drafts <= statistics.draftTokens && statistics.draftTokens <= draftTokens * statistics.drafts)
    try await test.expectAllFree()
  }

  @Test(arguments: [14, 20, 30])
  func `Nobody is preempted for a draft, and who is preempted goes on`(blocks: Int) async throws {
    let plain = try TestEngine(blocks: blocks, blockSize: 4)
    let test = try TestEngine(blocks: blocks, blockSize: 4) {
      $0.speculation = NGramSpeculation(draftTokens: 4, lookup: 1...3)
    }
    let requests = (0..<8).map { (5 + $0 * 2, sampling(30, seed: UInt64($0))) }
    try await plain.expectRightAnswers(to: requests)
    try await test.expectRightAnswers(to: requests)
    #expect(plain.engine.statistics.preemptions > 0)
    try await test.expectAllFree()
  }

  @Test func `Stops, ends of the context and prefix hits are where they were`() async throws {
    for contextLength in [20, 21, 22, 23, 24] {
      let plain = try TestEngine(blockSize: 4, contextLength: contextLength)
      let test = try TestEngine(blockSize: 4, contextLength: contextLength) {
        $0.speculation = NGramSpeculation(draftTokens: 6, lookup: 1...3)
      }
      for seed in UInt64(0)..<6 {
        var parameters = sampling(40, seed: seed)
        if seed % 2 == 1 {
          parameters.allowedTokenIDs = [3, 4, 5]
          parameters.stopTokenIDs = [5]
        }
        let request = GenerationRequest(id: "r", promptTokens: prompt(9), sampling: parameters)
        let (expected, output) = (try await plain.run(request), try await test.run(request))
        #expect(output.ids == expected.ids && output.result.reason == expected.result.reason)
      }
      try await test.expectAllFree()
    }
  }

  @Test func `Disaggregated output with it equals single-worker output without`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network) {
      $0.speculation = NGramSpeculation(draftTokens: 4, lookup: 1...3)
    }
    for length in 1...30 {
      let sampling = sampling(20, seed: length % 2 == 0 ? nil : UInt64(length))
      var one = sampling
      one.maxTokens = 1
      let first = try await prefiller.run(
        GenerationRequest(id: "r", promptTokens: prompt(length), sampling: one, handoff: .produce))
      let handoff = try #require(first.result.handoff)
      let rest = try await decoder.run(
        GenerationRequest(id: "r", promptTokens: prompt(length), sampling: sampling, handoff: .consume(handoff)))
      #expect(rest.ids == FakeModel.expectedTokens(prompt(length), sampling))
      #expect(rest.result.promptTokens.pulled == length - 1)
    }
    #expect(decoder.engine.statistics.acceptedDraftTokens > 0)
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
  }

  @Test(arguments: [(8, [[2, 3, 4], [2]]), (4, [[2], [2, 3]])] as [(Int, [[Int32]])])
  func `Drafts take the places and blocks that are left`(blocks: Int, drafts: [[Int32]]) {
    var scheduler = Scheduler(
      maxSequences: 3, maxBatchedTokens: 6, speculation: NGramSpeculation(draftTokens: 3, lookup: 1...2),
      pool: KVBlockPool(blockCount: blocks, blockSize: 4, cachesPrefixes: false))
    // 7 did not stand before, so nothing is drafted yet; 1 did.
    for (number, next) in [(UInt64(1), Int32(7)), (2, 1)] {
      scheduler.add(SequenceState(number: number, promptTokens: [1, 1, 2, 3, 4]))
      let plan = scheduler.schedule()
      #expect(plan.entries.allSatisfy { $0.draft.isEmpty })
      scheduler.completed(plan)
      for index in scheduler.running.indices { scheduler.append(next, toRunning: index) }
    }
    let plan = scheduler.schedule()
    #expect(plan.entries.map(\.draft) == drafts)
    #expect(plan.entries.map(\.positions) == [6..<7 + drafts[0].count, 5..<6 + drafts[1].count])
    #expect(plan.preempted.isEmpty)
  }
}
