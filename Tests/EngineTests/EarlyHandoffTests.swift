import Engine
import KVBlocks
import KVTransfer
import Logging
import TestSupport
import Testing

/// Handoffs that are given out while their prompts are computed, over the real transport.
@Suite(.timeLimit(.minutes(5))) struct EarlyHandoffTests {
  /// Two engines, and the transports between them.
  private struct Pair {
    let gate = StepGate()
    let prefiller: TestEngine
    let decoder: TestEngine
    private let transports: [PullTransport]

    init(prefillBlocks: Int = 64, _ transport: TransferConfiguration.Transports = .auto) throws {
      var made: [PullTransport] = []
      func connect(_ memory: KVMemory) throws -> PullTransport {
        var configuration = TransferConfiguration()
        configuration.transports = transport
        let identity = KVIdentity(engineID: "e\(made.count)", model: "m", tokenizer: "t", layout: memory.layout)
        made.append(
          try PullTransport(
            memory: memory, identity: identity, configuration: configuration,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        return made[made.count - 1]
      }
      prefiller = try TestEngine(
        blocks: prefillBlocks, gate: gate,
        {
          $0.maxBatchedTokens = 8
          $0.maxSequences = 4
        }, transport: { try connect($0) })
      decoder = try TestEngine(transport: { try connect($0) })
      transports = made
    }

    func close() { for transport in transports { transport.close() } }

    /// Submits a prompt that stops in its second chunk.
    /// - Returns: Its ticket, and what else its stream yields.
    func beginPrefill(_ prompt: [Int32], maxTokens: Int = 1) async throws -> (KVHandoff, Task<Output, Never>) {
      gate.arm(after: 1)
      let stream = try prefiller.engine.submit(
        GenerationRequest(id: "p", promptTokens: prompt, sampling: greedy(maxTokens), handoff: .produceEarly))
      var iterator = stream.makeAsyncIterator()
      guard case .handoff(let ticket)? = await iterator.next() else { throw NoTicket() }
      let rest = Task { [stream] in await collect(stream) }
      await gate.stopped()
      return (ticket, rest)
    }

    func decode(_ prompt: [Int32], _ ticket: KVHandoff) async throws -> Output {
      try await decoder.run(
        GenerationRequest(id: "d", promptTokens: prompt, sampling: greedy(5), handoff: .consume(ticket)))
    }

    func expectAllFree() async throws {
      for engine in [prefiller, decoder] {
        while try await engine.settled().published > 0 {}
        try await engine.expectAllFree()
      }
    }
  }

  private struct NoTicket: Error {}

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp])
  func `The ticket comes before the prompt is computed, and what follows it decodes the same tokens`(
    transport: TransferConfiguration.Transports
  ) async throws {
    let pair = try Pair(transport)
    defer { pair.close() }
    let (ticket, prefill) = try await pair.beginPrefill(prompt(30))
    #expect(ticket.isEarly && ticket.tokens == 30)
    async let output = pair.decode(prompt(30), ticket)
    // The decoder has set its blocks aside while the prefiller stands still.
    while pair.decoder.engine.statistics.pulling == 0 { await Task.yield() }
    pair.gate.resume()
    #expect(try await output.ids == FakeModel.expectedTokens(prompt(30), greedy(5)))
    #expect(await prefill.value.result.reason == .length)
    #expect(try await pair.decoder.settled().promptTokens.pulled == 29)
    try await pair.expectAllFree()
  }

  @Test func `A prefill that is cancelled ends the pull, and the decoder computes the prompt`() async throws {
    let pair = try Pair()
    defer { pair.close() }
    let (ticket, prefill) = try await pair.beginPrefill(prompt(30))
    async let output = pair.decode(prompt(30), ticket)
    while pair.decoder.engine.statistics.pulling == 0 { await Task.yield() }
    pair.prefiller.engine.cancel("p")
    pair.gate.resume()
    #expect(await prefill.value.result.reason == .abort)
    #expect(try await output.ids == FakeModel.expectedTokens(prompt(30), greedy(5)))
    #expect(try await pair.decoder.settled().pullFailures == 1)
    try await pair.expectAllFree()
  }

  @Test func `A prompt that is preempted after its ticket takes the ticket back`() async throws {
    let pair = try Pair(prefillBlocks: 10)
    defer { pair.close() }
    // An older request whose output needs the blocks that the prompt has.
    pair.gate.arm()
    let older = try pair.prefiller.engine.submit(
      GenerationRequest(id: "older", promptTokens: prompt(7, seed: 2), sampling: greedy(30)))
    await pair.gate.stopped()
    let preempted = try pair.prefiller.engine.submit(
      GenerationRequest(id: "p", promptTokens: prompt(28), sampling: greedy(12), handoff: .produceEarly))
    pair.gate.resume()
    let outputs = (await collect(older), await collect(preempted))
    #expect(outputs.0.ids == FakeModel.expectedTokens(prompt(7, seed: 2), greedy(30)))
    #expect(outputs.1.ids == FakeModel.expectedTokens(prompt(28), greedy(12)))
    #expect(outputs.1.result.handoff == nil)
    #expect(pair.prefiller.engine.statistics.preemptions > 0)
    let ticket = try #require(outputs.1.tickets.first)
    #expect(try await pair.decode(prompt(28), ticket).ids == FakeModel.expectedTokens(prompt(28), greedy(5)))
    #expect(try await pair.decoder.settled().pullFailures == 1)
    try await pair.expectAllFree()
  }

  @Test func `A prompt may be pulled long before its request ends`() async throws {
    let pair = try Pair()
    defer { pair.close() }
    let (ticket, prefill) = try await pair.beginPrefill(prompt(10), maxTokens: 40)
    pair.gate.arm(after: 5)
    pair.gate.resume()
    await pair.gate.stopped(2)
    #expect(try await pair.decode(prompt(10), ticket).ids == FakeModel.expectedTokens(prompt(10), greedy(5)))
    pair.gate.resume()
    let output = await prefill.value
    #expect(output.ids == FakeModel.expectedTokens(prompt(10), greedy(40)))
    try await pair.expectAllFree()
  }

  @Test func `A client that leaves takes the ticket with it`() async throws {
    let pair = try Pair()
    defer { pair.close() }
    let (ticket, prefill) = try await pair.beginPrefill(prompt(30))
    prefill.cancel()
    _ = await prefill.value
    pair.gate.resume()
    try await pair.expectAllFree()
    #expect(try await pair.decode(prompt(30), ticket).ids == FakeModel.expectedTokens(prompt(30), greedy(5)))
    try await pair.expectAllFree()
  }

  @Test func `Without a transport there is no ticket, and the answer is the same`() async throws {
    let engine = try TestEngine()
    let output = try await engine.run(
      GenerationRequest(id: "p", promptTokens: prompt(9), sampling: greedy(3), handoff: .produceEarly))
    #expect(output.tickets.isEmpty && output.result.handoff == nil)
    #expect(output.ids == FakeModel.expectedTokens(prompt(9), greedy(3)))
  }
}
