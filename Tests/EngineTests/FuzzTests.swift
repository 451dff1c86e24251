import Engine
import KVTransfer
import Synchronization
import TestSupport
import Testing

/// 500 requests of every kind, cancelled and struck by faults as a seed decides.
@Suite(.timeLimit(.minutes(5))) struct FuzzTests {
  private enum Leave: Sendable {
    case never
    case byName(afterTokens: Int)
    case byDropping(afterTokens: Int)
  }

  private struct Plan: Sendable {
    var id: String
    var prompt: [Int32]
    var sampling: SamplingParameters
    var disaggregated: Bool
    var leavesPrefiller: Leave
    var leavesDecoder: Leave
  }

  private func plan(_ index: Int, _ random: inout SplitMix64) -> Plan {
    // Few different beginnings, so that prefixes are shared.
    let beginning = prompt(Int.random(in: 0...20, using: &random), seed: UInt64.random(in: 0..<3, using: &random))
    let rest = prompt(Int.random(in: 1...25, using: &random), seed: UInt64(index))
    let tokens = Int.random(in: 1...20, using: &random)
    return Plan(
      id: "r\(index)", prompt: beginning + rest,
      sampling: Bool.random(using: &random) ? greedy(tokens) : seeded(tokens, seed: UInt64(index)),
      disaggregated: Int.random(in: 0..<3, using: &random) > 0,
      leavesPrefiller: leave(&random), leavesDecoder: leave(&random))
  }

  private func leave(_ random: inout SplitMix64) -> Leave {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: .byName(afterTokens: Int.random(in: 0...3, using: &random))
    case 1: .byDropping(afterTokens: Int.random(in: 0...3, using: &random))
    default: .never
    }
  }

  /// - Returns: Nil if the client dropped the stream.
  private func run(_ request: GenerationRequest, on test: TestEngine, _ leave: Leave) async throws -> Output? {
    let stream = try test.engine.submit(request)
    if case .byName(0) = leave { test.engine.cancel(request.id) }
    if case .byDropping(0) = leave { return nil }
    var output = Output()
    for await event in stream {
      output.add(event)
      if case .byName(output.tokens.count) = leave { test.engine.cancel(request.id) }
      if case .byDropping(output.tokens.count) = leave { return nil }
    }
    #expect(output.results.count == 1, "\(request.id): a stream ends with exactly one finished")
    #expect(output.lateTokens == 0)
    #expect(output.result.outputTokens == output.tokens.count)
    let expected = FakeModel.expectedTokens(request.promptTokens, request.sampling)
    if case .never = leave {
      #expect(output.ids == expected, "\(request.id)")
    } else {
      #expect(output.ids == Array(expected.prefix(output.ids.count)), "\(request.id)")
    }
    return output
  }

  private func live(_ plan: Plan, _ prefiller: TestEngine, _ decoder: TestEngine) async throws {
    var request = GenerationRequest(id: plan.id, promptTokens: plan.prompt, sampling: plan.sampling)
    if plan.disaggregated {
      request.handoff = .produce
      request.sampling.maxTokens = 1
      guard let first = try await run(request, on: prefiller, plan.leavesPrefiller) else {
        // As a worker does whose client is gone: the result may have been on its way.
        return prefiller.engine.cancel(plan.id)
      }
      guard let handoff = first.result.handoff else { return }
      request.handoff = .consume(handoff)
      request.sampling = plan.sampling
    }
    _ = try await run(request, on: decoder, plan.leavesDecoder)
  }

  @Test(arguments: [UInt64(11), 12])
  func `Every stream ends once with the right tokens, and every block comes back`(seed: UInt64) async throws {
    var random = SplitMix64(seed: seed)
    let network = FakeNetwork()
    network.script(
      (0..<500).map { _ in
        Int.random(in: 0..<6, using: &random) == 0 ? TransferFault.allCases.randomElement(using: &random) : nil
      })
    let prefiller = try TestEngine(blocks: 200, blockSize: 4, network: network) {
      $0.maxBatchedTokens = 32
      $0.maxSequences = 8
    }
    let decoder = try TestEngine(blocks: 40, blockSize: 4, network: network) {
      $0.maxBatchedTokens = 24
      $0.maxSequences = 6
    }
    let plans = (0..<500).map { plan($0, &random) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, plan) in plans.enumerated() {
        if index >= 24 { try await group.next() }
        if index.isMultiple(of: 50) { network.expireLeases() }
        group.addTask { try await live(plan, prefiller, decoder) }
      }
      try await group.waitForAll()
    }
    network.expireLeases()
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
    let statistics = decoder.engine.statistics
    #expect(statistics.preemptions > 0 && statistics.pullFailures > 0 && statistics.pullSuccesses > 0)
    #expect(statistics.prefixCacheHits > 0)
  }
}
