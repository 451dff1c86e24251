import KVBlocks
import KVTransfer
import Testing

/// What goes wrong at the decoder, at each step that the prefiller waits for: the blocks are pulled by the next
/// decoder, or freed, but never lost.
@Suite(.timeLimit(.minutes(5))) struct DecoderFaultTests {
  /// Where the decoder is when it dies.
  enum Moment: CaseIterable { case afterHandshake, afterClaim, afterCLAIMED, inMidData, afterData }

  @Test(arguments: ["shm", "tcp"], Moment.allCases)
  func `A decoder that dies leaves the handoff to the next`(transport: String, moment: Moment) async throws {
    try await withWorkers(.auto) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish(Array(0..<100), to: log)
      let dying = try ScriptedDecoder(to: prefiller, over: transport)
      try dying.play(handoff, until: moment, transport)
      dying.channel.socket.close()
      var last: String?
      repeat {
        last = await label { _ = try await decoder.transport.pull(handoff, into: blockIDs(0..<100)) }
      } while last == "already_claimed"
      #expect(last == nil && log.count == 1)
      #expect(decoder.bytes(of: blockIDs(0..<100)) == prefiller.bytes(of: blockIDs(0..<100)))
    }
  }

  @Test(arguments: ["shm", "tcp"]) func `A decoder that dies after DONE has released`(transport: String) async throws {
    try await withWorkers(.auto) { prefiller, _ in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      let decoder = try ScriptedDecoder(to: prefiller, over: transport)
      #expect(try decoder.claim(handoff).kind == .claimed)
      if transport == "tcp" { try decoder.readBlocks(1) }
      try decoder.done()
      decoder.channel.socket.close()
      await log.next()
      #expect(prefiller.transport.statistics.pulledByPeer == 1)
    }
  }

  @Test func `DONE with another generation releases nothing`() async throws {
    try await withWorkers(.auto) { prefiller, _ in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      let decoder = try ScriptedDecoder(to: prefiller, over: "shm")
      #expect(try decoder.claim(handoff).kind == .claimed)
      try decoder.done(generation: 2)
      #expect(throws: KVTransferError.self) { try decoder.channel.receive(testPatience, for: "end") }
      #expect(log.count == 0 && prefiller.transport.statistics.pending == 1)
    }
  }

  @Test func `A decoder that claims and hangs loses its claim in time`() async throws {
    let clock = HandClock()
    let hasty = { (configuration: inout TransferConfiguration, _: inout KVIdentity) in
      configuration.timeouts.stall = .milliseconds(50)
    }
    try await withWorkers(.auto, now: clock.now, prefiller: hasty) { prefiller, _ in
      for transport in ["shm", "tcp"] {
        let log = EventLog()
        let handoff = try prefiller.publish([1], to: log)
        let decoder = try ScriptedDecoder(to: prefiller, over: transport)
        #expect(try decoder.claim(handoff).kind == .claimed)
        clock.advance(by: .seconds(31))
        prefiller.transport.expireLeases()
        await log.next()
        decoder.channel.socket.close()
      }
      #expect(prefiller.transport.statistics.expired == 2)
    }
  }

  @Test func `A cancelled pull returns at once, whether it moves or waits for its turn`() async throws {
    let isInMidBlock = EventLog()
    let scripted = try ScriptedPrefiller { prefiller, channel in
      try prefiller.grant(channel, tokens: 8, blocks: 2)
      try prefiller.data(channel, count: 2, checksums: [0, 0], payload: [1, 2, 3])
      isInMidBlock.note()
      channel.socket.waitForBytes()
    }
    defer { scripted.close() }
    try await withWorkers(.auto, decoder: { configuration, _ in configuration.pullThreads = 1 }) { prefiller, decoder in
      @Sendable func pull(into blocks: [Int]) async -> String? {
        await label { _ = try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs(blocks)) }
      }
      let first = Task { await pull(into: [0, 1]) }
      await isInMidBlock.next()
      let second = Task { await pull(into: [2, 3]) }
      second.cancel()
      #expect(await second.value == "cancelled")
      first.cancel()
      #expect(await first.value == "cancelled")
      _ = try await decoder.transport.pull(try prefiller.publish([5]), into: blockIDs([0]))
      #expect(decoder.bytes(of: blockIDs([0])) == prefiller.bytes(of: blockIDs([5])))
      #expect(decoder.transport.statistics.failuresByLabel == ["cancelled": 2])
    }
  }
}

extension ScriptedDecoder {
  /// Goes on with a pull up to that moment.
  func play(_ handoff: KVHandoff, until moment: DecoderFaultTests.Moment, _ transport: String) throws {
    if moment == .afterHandshake { return }
    if moment == .afterClaim {
      let body = ClaimBody(id: handoff.id.bytes!, wantsChecksums: true).encoded
      return try channel.send(Frame(.claim, request: 1, body: body), testPatience)
    }
    #expect(try claim(handoff).kind == .claimed)
    if moment == .afterCLAIMED || transport == "shm" { return }
    if moment == .inMidData {
      _ = try channel.socket.receive(1000, testPatience, for: "test")
    } else {
      try readBlocks(100)
    }
  }
}
