import Engine
import KVTransfer
import Testing

/// The main one: what a prefiller computed and a decoder continued equals what one worker does, token for token.
@Suite(.timeLimit(.minutes(5))) struct HandoffTests {
  /// Prefill on `prefiller`, decode on `decoder`.
  private func disaggregated(
    _ prefiller: TestEngine, _ decoder: TestEngine, id: String, _ prompt: [Int32], _ sampling: SamplingParameters
  ) async throws -> (first: Output, rest: Output) {
    var one = sampling
    one.maxTokens = 1
    let first = try await prefiller.run(
      GenerationRequest(id: id, promptTokens: prompt, sampling: one, handoff: .produce))
    let handoff = try #require(first.result.handoff)
    #expect(handoff.tokens == prompt.count)
    let rest = try await decoder.run(
      GenerationRequest(id: id, promptTokens: prompt, sampling: sampling, handoff: .consume(handoff)))
    return (first, rest)
  }

  @Test(arguments: [4, 16], [true, false])
  func `Disaggregated output equals single-worker output, token for token, for prompts of 1 to 100 tokens`(
    blockSize: Int, prefixCaching: Bool
  ) async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(blocks: 64, blockSize: blockSize, network: network) {
      $0.enablePrefixCaching = prefixCaching
      $0.maxBatchedTokens = 24
      $0.maxSequences = 16
    }
    let decoder = try TestEngine(blocks: 64, blockSize: blockSize, network: network) {
      $0.enablePrefixCaching = prefixCaching
    }
    for length in 1...100 {
      let sampling = length.isMultiple(of: 2) ? greedy(8) : seeded(8, seed: UInt64(length))
      let expected = FakeModel.expectedTokens(prompt(length), sampling)
      let (first, rest) = try await disaggregated(prefiller, decoder, id: "r", prompt(length), sampling)
      #expect(rest.ids == expected, "\(length) tokens")
      #expect(first.ids == Array(expected.prefix(1)))
      #expect(rest.result.promptTokens.pulled == length - 1)
      #expect(rest.result.promptTokens.computed == 1)
    }
    #expect(decoder.engine.statistics.pullSuccesses == 100)
    #expect(decoder.engine.statistics.pullFailures == 0)
    // Every pull, of a single token too, gave the prefiller its blocks back.
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
  }

  @Test(arguments: [UInt64(1), 2, 3])
  func `Eight at once, with tiny pools, chunks, cancelled neighbours and faults, give the same tokens`(
    seed: UInt64
  ) async throws {
    let network = FakeNetwork()
    network.script([nil, .publisherDiesInMidCopy, nil, nil, .checksumWrongAfterCopy])
    let prefiller = try TestEngine(blocks: 40, blockSize: 4, network: network) { $0.maxBatchedTokens = 13 }
    let decoder = try TestEngine(blocks: 30, blockSize: 4, network: network) {
      $0.maxBatchedTokens = 11
      $0.maxSequences = 5
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<8 {
        let prompt = prompt(1 + (index * 13 + Int(seed) * 5) % 50, seed: seed)
        let sampling = index < 4 ? greedy(25) : seeded(25, seed: seed)
        group.addTask {
          let (_, rest) = try await disaggregated(prefiller, decoder, id: "r\(index)", prompt, sampling)
          #expect(rest.ids == FakeModel.expectedTokens(prompt, sampling))
        }
        group.addTask {
          let neighbour = try decoder.engine.submit(
            GenerationRequest(id: "n\(index)", promptTokens: prompt, sampling: greedy(200)))
          for await case .token in neighbour { break }
        }
      }
      try await group.waitForAll()
    }
    network.expireLeases()
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
  }

  @Test func `An end-of-sequence token at once is handed over like any other`() async throws {
    let network = FakeNetwork()
    let eos = FakeModel.expectedTokens(prompt(9), greedy(1))[0]
    let prefiller = try TestEngine(network: network) { $0.eosTokenIDs = [eos] }
    let decoder = try TestEngine(network: network) { $0.eosTokenIDs = [eos] }
    let (first, rest) = try await disaggregated(prefiller, decoder, id: "r", prompt(9), greedy(5))
    #expect(first.result.reason == .stop(token: nil))
    #expect(rest.ids == [eos])
    #expect(rest.result.reason == .stop(token: nil))
  }

  @Test func `What was pulled can be found by its prefix`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network)
    _ = try await disaggregated(prefiller, decoder, id: "r", prompt(20), greedy(2))
    let again = try await decoder.run(GenerationRequest(id: "s", promptTokens: prompt(20), sampling: greedy(2)))
    #expect(again.result.promptTokens.prefixCache == 16)
    #expect(again.ids == FakeModel.expectedTokens(prompt(20), greedy(2)))
  }

  @Test func `A pull does not hold up others`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network) { $0.maxSequences = 1 }
    network.pullGate.close()
    let pulled = Task { try await disaggregated(prefiller, decoder, id: "r", prompt(20), greedy(5)).rest }
    await network.pullGate.arrived(1)
    let other = try await decoder.run(GenerationRequest(id: "s", promptTokens: prompt(9), sampling: greedy(9)))
    #expect(other.ids == FakeModel.expectedTokens(prompt(9), greedy(9)))
    #expect(decoder.engine.statistics.pulling == 1)
    network.pullGate.open()
    #expect(try await pulled.value.ids == FakeModel.expectedTokens(prompt(20), greedy(5)))
  }

  // MARK: Failure

  @Test(arguments: TransferFault.allCases)
  func `A failed pull never fails the request: the decoder computes the prompt`(fault: TransferFault) async throws {
    let network = FakeNetwork()
    network.script([fault])
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network)
    let (_, rest) = try await disaggregated(prefiller, decoder, id: "r", prompt(30), seeded(10, seed: 1))
    #expect(rest.ids == FakeModel.expectedTokens(prompt(30), seeded(10, seed: 1)))
    #expect(rest.result.promptTokens.computed == 30)
    #expect(rest.result.promptTokens.pulled == 0)
    guard case .failed = rest.result.pull else {
      Issue.record("the result says nothing of the failed pull")
      return
    }
    #expect(decoder.engine.statistics.pullFailures == 1)
    #expect(prefiller.engine.statistics.published == 1)
    network.expireLeases()
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
  }

  @Test func `Under the policy fail a failed pull ends the request with an error`() async throws {
    let network = FakeNetwork()
    network.script([.publisherDiesInMidCopy])
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network) { $0.pullFailurePolicy = .fail }
    let (_, rest) = try await disaggregated(prefiller, decoder, id: "r", prompt(30), greedy(10))
    guard case .error = rest.result.reason else {
      Issue.record("ended with \(rest.result.reason)")
      return
    }
    #expect(rest.ids.isEmpty)
    try await decoder.expectAllFree()
  }

  @Test(arguments: [-1, 0, 18, 21, 1_000_000])
  func `A handoff of another prompt's length is not pulled`(tokens: Int) async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network)
    let first = try await prefiller.run(
      GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(1), handoff: .produce))
    var handoff = try #require(first.result.handoff)
    handoff.tokens = tokens
    let rest = try await decoder.run(
      GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(5), handoff: .consume(handoff)))
    #expect(rest.ids == FakeModel.expectedTokens(prompt(20), greedy(5)))
    #expect(network.pullCount == 0)
    #expect(decoder.engine.statistics.pullFailures == 1)
    #expect(decoder.engine.statistics.pullRefusals == [.promptMismatch: 1])
  }

  @Test func `A handoff of all but the last token is enough`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network)
    let first = try await prefiller.run(
      GenerationRequest(id: "r", promptTokens: prompt(21), sampling: greedy(1), handoff: .produce))
    var handoff = try #require(first.result.handoff)
    handoff.tokens = 20
    handoff.blocks.removeLast()
    let rest = try await decoder.run(
      GenerationRequest(id: "r", promptTokens: prompt(21), sampling: greedy(5), handoff: .consume(handoff)))
    #expect(rest.ids == FakeModel.expectedTokens(prompt(21), greedy(5)))
    #expect(rest.result.promptTokens.pulled == 20)
  }

  @Test func `Without a transport a producer gives no handoff, and a consumer computes`() async throws {
    let engine = try TestEngine()
    let produced = try await engine.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
    #expect(produced.result.reason == .length)
    #expect(produced.result.handoff == nil)
    let handoff = KVHandoff(id: .init("x"), engineID: "e", host: "h", port: 1, blocks: [], tokens: 9)
    let consumed = try await engine.run(
      GenerationRequest(id: "c", promptTokens: prompt(9), sampling: greedy(4), handoff: .consume(handoff)))
    #expect(consumed.ids == FakeModel.expectedTokens(prompt(9), greedy(4)))
    #expect(engine.engine.statistics.publishFailures == 1)
    #expect(engine.engine.statistics.pullFailures == 1)
    #expect(engine.engine.statistics.pullRefusals == [.noTransport: 1])
    try await engine.expectAllFree()
  }

  @Test func `A publish that is refused costs the handoff, not the request`() async throws {
    let network = FakeNetwork()
    network.refuseToPublish()
    let prefiller = try TestEngine(network: network)
    let output = try await prefiller.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
    #expect(output.ids == FakeModel.expectedTokens(prompt(9), greedy(1)))
    #expect(output.result.handoff == nil)
    try await prefiller.expectAllFree()
  }

  // MARK: Who frees the blocks

  @Test func `Published blocks are held until the lease ends`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    _ = try await prefiller.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
    #expect(try await prefiller.settled().freeBlocks == 64 - 3)
    #expect(prefiller.engine.statistics.published == 1)
    network.expireLeases()
    try await prefiller.expectAllFree()
  }

  @Test func `Cancelling a request after it has published withdraws its handoff`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    _ = try await prefiller.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
    prefiller.engine.cancel("p")
    try await prefiller.settledWithoutPublished()
    #expect(network.withdrawnCount == 1)
    try await prefiller.expectAllFree()
  }

  @Test func `A result that nobody waits for any more withdraws its handoff`() async throws {
    let network = FakeNetwork()
    let gate = StepGate()
    gate.arm()
    let prefiller = try TestEngine(network: network, gate: gate)
    do {
      let stream = try prefiller.engine.submit(
        GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
      await gate.stopped()
      _ = stream
    }
    // The client left while the prompt was computed; the step goes on to publish.
    gate.resume()
    try await prefiller.settledWithoutPublished()
    #expect(network.publishedCount == 0)
    try await prefiller.expectAllFree()
  }

  @Test func `Blocks of a cancelled pull are not reused before the pull has ended`() async throws {
    let network = FakeNetwork()
    let gate = StepGate()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(blocks: 12, blockSize: 4, network: network, gate: gate)
    network.pullGate.close()
    let first = try await prefiller.run(
      GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(1), handoff: .produce))
    let handoff = try #require(first.result.handoff)
    let stream = try decoder.engine.submit(
      GenerationRequest(id: "r", promptTokens: prompt(20), sampling: greedy(5), handoff: .consume(handoff)))
    await network.pullGate.arrived(1)
    decoder.engine.cancel("r")
    #expect(await collect(stream).result.reason == .abort)
    #expect(try await decoder.settled().freeBlocks == 12 - 5)
    // The late bytes come while others use all the other blocks.
    gate.arm(after: 12)
    async let others: Void = decoder.expectRightAnswers(to: (0..<3).map { (4 + $0, greedy(20)) })
    await gate.stopped()
    network.pullGate.open()
    try await prefiller.settledWithoutPublished()
    gate.resume()
    try await others
    #expect(decoder.engine.statistics.pullSuccesses == 0)
    try await prefiller.expectAllFree()
    try await decoder.expectAllFree()
  }

  @Test func `A shutdown withdraws what no decoder has taken`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    _ = try await prefiller.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(1), handoff: .produce))
    await prefiller.engine.shutdown(grace: .zero)
    #expect(network.publishedCount == 0)
    #expect(prefiller.engine.statistics.freeBlocks == 64)
  }
}

extension TestEngine {
  /// A withdrawal passes through the engine's mailbox twice: the order, and the transport's release.
  func settledWithoutPublished() async throws {
    while try await settled().published > 0 {}
  }
}
