import KVBlocks
import KVTransfer
import TestSupport
import Testing

/// A handoff that nobody will pull is released when its decoder knows, not when its lease ends: the clock of the leases
/// stands still in these tests.
@Suite(.timeLimit(.minutes(5))) struct AbandonTests {
  private static let transports: [TransferConfiguration.Transports] = [.shm, .tcp]
  private let clock = HandClock()

  @Test(arguments: transports) func `An abandoned handoff is released at once and only once`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport, now: clock.now) { prefiller, decoder in
      for isFirstContact in [true, false] {
        let (log, other) = (EventLog(), EventLog())
        let handoff = try prefiller.publish([1], to: log)
        let untouched = try prefiller.publish([2], to: other)
        decoder.transport.abandon(handoff)
        decoder.transport.abandon(handoff)
        await log.next()
        #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([3])) } == "unknown_handoff")
        #expect(log.count == 1 && other.count == 0, "first contact: \(isFirstContact)")
        // The connection that told it serves pulls too.
        _ = try await decoder.transport.pull(untouched, into: blockIDs([3]))
      }
      #expect(prefiller.transport.statistics.withdrawn == 2 && prefiller.transport.statistics.pending == 0)
    }
  }

  @Test(arguments: ["shm", "tcp"], DecoderFaultTests.Moment.allCases)
  func `A handoff that is abandoned in mid-pull is released when the pull's connection ends`(
    transport: String, moment: DecoderFaultTests.Moment
  ) async throws {
    try await withWorkers(.auto, now: clock.now) { prefiller, decoder in
      for endsFirst in [true, false] {
        let log = EventLog()
        let handoff = try prefiller.publish(Array(0..<100), to: log)
        let cancelled = try ScriptedDecoder(to: prefiller, over: transport)
        try cancelled.play(handoff, until: moment, transport)
        if endsFirst { cancelled.channel.socket.close() }
        decoder.transport.abandon(handoff)
        if !endsFirst { cancelled.channel.socket.close() }
        await log.next()
        #expect(log.count == 1)
      }
      #expect(prefiller.transport.statistics.withdrawn == 2)
    }
  }

  @Test(arguments: transports) func `A pull that is cancelled in the queue abandons its handoff`(
    transport: TransferConfiguration.Transports
  ) async throws {
    let isInMidBlock = EventLog()
    let hanging = try ScriptedPrefiller { prefiller, channel in
      try prefiller.grant(channel, tokens: 4, blocks: 1)
      isInMidBlock.note()
      channel.socket.waitForBytes()
    }
    defer { hanging.close() }
    let oneThread = { (configuration: inout TransferConfiguration, _: inout KVIdentity) in
      configuration.pullThreads = 1
      configuration.transports = .auto
    }
    try await withWorkers(transport, now: clock.now, decoder: oneThread) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      let first = Task { try await decoder.transport.pull(hanging.handoff(tokens: 4), into: blockIDs([1])) }
      await isInMidBlock.next()
      let second = Task { try await decoder.transport.pull(handoff, into: blockIDs([2])) }
      second.cancel()
      await log.next()
      first.cancel()
      _ = await (first.result, second.result)
    }
  }

  @Test func `A pull that is cancelled in mid-data says so over another connection`() async throws {
    let (isInMidData, isTold) = (EventLog(), EventLog())
    let scripted = try ScriptedPrefiller { prefiller, channel in
      try prefiller.welcome(channel)
      let frame = try channel.receive(testPatience, for: "CLAIM or ABANDON")
      if frame.kind == .abandon {
        let body = try AbandonBody(decoding: frame.body)
        if body.id == prefiller.handoff(tokens: 8).id.bytes { isTold.note() }
        return
      }
      let claimed = ClaimedBody(tokens: 8, blocks: [0, 1])
      try channel.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
      try prefiller.data(channel, count: 2, checksums: [0, 0], payload: [1, 2, 3])
      isInMidData.note()
      channel.socket.waitForBytes()
    }
    defer { scripted.close() }
    let decoder = try TestWorker(engineID: "decoder")
    defer { decoder.transport.close() }
    let pull = Task { try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs([0, 1])) }
    await isInMidData.next()
    pull.cancel()
    await isTold.next()
    _ = await pull.result
  }

  @Test(arguments: transports) func `A pull that is cancelled at any moment leaves nothing pinned`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport, now: clock.now) { prefiller, decoder in
      for round in 0..<60 {
        let log = EventLog()
        let handoff = try prefiller.publish(Array(0..<128), to: log)
        let pull = Task { try await decoder.transport.pull(handoff, into: blockIDs(0..<128)) }
        for _ in 0..<round { await Task.yield() }
        pull.cancel()
        _ = await pull.result
        await log.next()
        #expect(log.count == 1)
      }
      #expect(prefiller.transport.statistics.pending == 0)
    }
  }

  @Test func `Abandoning what cannot be reached harms nobody`() async throws {
    let refusing = RefusingPort()
    let decoder = try TestWorker(engineID: "decoder")
    let id = KVHandoff.ID(String(repeating: "5a", count: 16))
    for (host, port) in [("127.0.0.1", refusing.number), ("localhost", 1), ("127.0.0.1", -1)] {
      decoder.transport.abandon(
        KVHandoff(id: id, engineID: "gone", host: host, port: port, blocks: [], tokens: 4))
    }
    decoder.transport.close()
    decoder.transport.abandon(
      KVHandoff(id: id, engineID: "gone", host: "127.0.0.1", port: refusing.number, blocks: [], tokens: 4))
  }
}
