import Engine
import KVTransfer
import Testing

struct AbandonTests {
  @Test func `A request that is cancelled before its pull begins gives the prefiller its blocks back`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network) { $0.maxSequences = 1 }
    network.pullGate.close()
    let handoffs = try await [publish("a", on: prefiller), publish("b", on: prefiller)]
    let streams = try handoffs.map { try decoder.engine.submit(consumer(of: $0)) }
    await network.pullGate.arrived(1)
    // The second waits for its turn.
    decoder.engine.cancel("b")
    #expect(await collect(streams[1]).result.reason == .abort)
    #expect(network.withdrawnCount == 1 && network.publishedCount == 1)
    network.pullGate.open()
    #expect(await collect(streams[0]).ids == FakeModel.expectedTokens(prompt(20), greedy(3)))
    #expect(network.pullCount == 1)
    try await prefiller.settledWithoutPublished()
    try await prefiller.expectAllFree()
  }

  @Test func `A handoff of another prompt is not pulled, and given back`() async throws {
    let network = FakeNetwork()
    let prefiller = try TestEngine(network: network)
    let decoder = try TestEngine(network: network)
    var first = try await publish("a", on: prefiller)
    first.handoff.tokens = 7
    let rest = try await decoder.run(consumer(of: first))
    #expect(rest.ids == FakeModel.expectedTokens(prompt(20), greedy(3)))
    #expect(network.pullCount == 0 && network.publishedCount == 0)
    try await prefiller.settledWithoutPublished()
  }

  private func publish(_ id: String, on prefiller: TestEngine) async throws -> (id: String, handoff: KVHandoff) {
    let first = try await prefiller.run(
      GenerationRequest(id: id, promptTokens: prompt(20), sampling: greedy(1), handoff: .produce))
    return (id, try #require(first.result.handoff))
  }

  private func consumer(of one: (id: String, handoff: KVHandoff)) -> GenerationRequest {
    GenerationRequest(id: one.id, promptTokens: prompt(20), sampling: greedy(3), handoff: .consume(one.handoff))
  }
}
