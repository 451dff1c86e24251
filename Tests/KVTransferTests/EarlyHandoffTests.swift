import CLinux
import KVBlocks
import KVTransfer
import Testing

/// Handoffs whose prompts are still being computed.
@Suite(.timeLimit(.minutes(5))) struct EarlyHandoffTests {
  /// Returns when the decoder has these bytes, which it can only have by following.
  private func awaitBytes(_ bytes: [UInt8], in block: Int, of decoder: TestWorker) async {
    while decoder.bytes(of: blockIDs([block]))[0].prefix(bytes.count) != bytes[...] { await Task.yield() }
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp], [TransferConfiguration.Checksums.never, .always])
  func `What is pulled while it is computed is what was computed`(
    transport: TransferConfiguration.Transports, checksums: TransferConfiguration.Checksums
  ) async throws {
    try await withWorkers(transport, decoder: { configuration, _ in configuration.checksums = checksums }) {
      prefiller, decoder in
      let log = EventLog()
      let prompt = try EarlyPrompt([9, 3, 7, 1], tokens: 14, of: prefiller) { log.note() }
      async let report = decoder.transport.pull(prompt.handoff, into: blockIDs(20..<24))
      prompt.compute(0..<1)
      await awaitBytes(prompt.expected[0], in: 20, of: decoder)
      prompt.compute(1..<3, layers: 0..<1)
      await awaitBytes(Array(prompt.expected[2].prefix(testLayout.bytesPerLayer)), in: 22, of: decoder)
      prompt.compute(1..<3, layers: 1..<2)
      prompt.compute(3..<4)
      let done = try await report
      #expect(done.followed && done.transport == transport.rawValue && done.bytes == 4 * testLayout.bytesPerBlock)
      #expect(decoder.bytes(of: blockIDs(20..<24)) == prompt.expected)
      // The request ends after its KV is there, perhaps after it is pulled.
      await log.next()
      prompt.publication.complete()
      #expect(log.count == 1 && prefiller.transport.statistics.pending == 0)
      #expect(prefiller.transport.statistics.pulledByPeer == 1)
    }
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp])
  func `A prefill that fails ends the pull at once, and the next one works`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let prompt = try EarlyPrompt([1, 2], of: prefiller) { log.note() }
      async let outcome = label { _ = try await decoder.transport.pull(prompt.handoff, into: blockIDs([5, 6])) }
      prompt.compute(0..<1)
      await awaitBytes(prompt.expected[0], in: 5, of: decoder)
      prompt.publication.fail()
      #expect(await outcome == "prefill_failed")
      #expect(log.count == 0, "blocks that were never the handoff's were released")
      #expect(prefiller.transport.statistics.pending == 0)
      _ = try await decoder.transport.pull(try prefiller.publish([8], to: log), into: blockIDs([5]))
      #expect(decoder.bytes(of: blockIDs([5])) == prefiller.bytes(of: blockIDs([8])))
      let again = await label { _ = try await decoder.transport.pull(prompt.handoff, into: blockIDs([5, 6])) }
      #expect(again == "unknown_handoff")
    }
  }

  @Test func `A prefill that fails behind the last piece is never acknowledged`() async throws {
    try await withWorkers(.auto) { prefiller, _ in
      let prompt = try EarlyPrompt([1, 2], of: prefiller) {}
      let decoder = try ScriptedDecoder(to: prefiller, over: "shm")
      #expect(try decoder.claim(prompt.handoff, follows: true).kind == .following)
      prompt.compute(0..<2)
      var pieces = 0
      while pieces < 4 {
        let body = try PiecesBody(decoding: try decoder.channel.receive(testPatience, for: "PIECES").body)
        pieces += body.pieces.layers.count * body.pieces.blocks.count
      }
      prompt.publication.fail()
      try decoder.done()
      let answer = try decoder.channel.receive(testPatience, for: "DENY")
      #expect(try answer.kind == .deny && DenyBody(decoding: answer.body) == .failed)
    }
  }

  @Test func `Over TCP what was sent was held, and needs no acknowledgement`() async throws {
    try await withWorkers(.tcp) { prefiller, _ in
      let log = EventLog()
      let prompt = try EarlyPrompt([1, 2], of: prefiller) { log.note() }
      let decoder = try ScriptedDecoder(to: prefiller, over: "tcp")
      #expect(try decoder.claim(prompt.handoff, follows: true).kind == .following)
      prompt.compute(0..<2)
      let (pieces, end) = try decoder.readPieces()
      #expect(pieces == 4 && end.kind == .held)
      try decoder.done()
      await log.next()
      // The connection goes on to the next claim, without RELEASED between.
      #expect(try decoder.claim(try prefiller.publish([3]), request: 2).kind == .claimed)
    }
  }

  @Test(arguments: ["shm", "tcp"], [false, true])
  func `A decoder that cannot follow hears beats, and gets the whole prompt when it is computed`(
    transport: String, fails: Bool
  ) async throws {
    try await withWorkers(
      .auto, prefiller: { configuration, _ in configuration.timeouts.stall = .milliseconds(400) }
    ) { prefiller, _ in
      let prompt = try EarlyPrompt([1, 2], of: prefiller) {}
      let decoder = try ScriptedDecoder(to: prefiller, over: transport)
      #expect(try decoder.claim(prompt.handoff).kind == .beat)
      if fails { prompt.publication.fail() } else { prompt.compute(0..<2) }
      var answer: Frame
      repeat { answer = try decoder.channel.receive(testPatience, for: "CLAIMED") } while answer.kind == .beat
      #expect(answer.kind == (fails ? .deny : .claimed))
    }
  }

  @Test(.enabled(if: nixlIsInstalled)) func `Over NIXL the prompt is pulled when it is computed`() async throws {
    try await withWorkers(.nixl) { prefiller, decoder in
      let prompt = try EarlyPrompt([1, 2], of: prefiller) {}
      async let report = decoder.transport.pull(prompt.handoff, into: blockIDs([5, 6]))
      prompt.compute(0..<2)
      #expect(try await !report.followed)
      #expect(decoder.bytes(of: blockIDs([5, 6])) == prompt.expected)
    }
  }

  @Test func `A lease begins when the prompt is computed`() async throws {
    let clock = HandClock()
    try await withWorkers(.tcp, now: clock.now) { prefiller, decoder in
      let log = EventLog()
      let prompt = try EarlyPrompt([1], lease: .seconds(30), of: prefiller) { log.note() }
      clock.advance(by: .seconds(3600))
      prefiller.transport.expireLeases()
      #expect(log.count == 0)
      prompt.compute(0..<1)
      prompt.publication.complete()
      clock.advance(by: .seconds(29))
      prefiller.transport.expireLeases()
      #expect(log.count == 0)
      clock.advance(by: .seconds(1))
      prefiller.transport.expireLeases()
      #expect(log.count == 1)
      let late = await label { _ = try await decoder.transport.pull(prompt.handoff, into: blockIDs([2])) }
      #expect(late == "lease_expired")
    }
  }

  @Test(arguments: ["shm", "tcp"]) func `A decoder that dies while it follows leaves the handoff to another`(
    transport: String
  ) async throws {
    try await withWorkers(.auto) { prefiller, decoder in
      let log = EventLog()
      let prompt = try EarlyPrompt([1, 2], of: prefiller) { log.note() }
      let first = try ScriptedDecoder(to: prefiller, over: transport)
      #expect(try first.claim(prompt.handoff, follows: true).kind == .following)
      prompt.compute(0..<1)
      first.channel.socket.close()
      prompt.compute(1..<2)
      prompt.publication.complete()
      var last: String?
      repeat {
        last = await label { _ = try await decoder.transport.pull(prompt.handoff, into: blockIDs([5, 6])) }
      } while last == "already_claimed"
      #expect(last == nil && log.count == 1)
      #expect(decoder.bytes(of: blockIDs([5, 6])) == prompt.expected)
    }
  }

  @Test(arguments: [TransferConfiguration.Transports.shm, .tcp])
  func `A pull that is cancelled while it follows gives the handoff up`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let prompt = try EarlyPrompt([1, 2], of: prefiller) { log.note() }
      let pull = Task { await label { _ = try await decoder.transport.pull(prompt.handoff, into: blockIDs([5, 6])) } }
      prompt.compute(0..<1)
      await awaitBytes(prompt.expected[0], in: 5, of: decoder)
      pull.cancel()
      #expect(await pull.value == "cancelled")
      // Its prompt is still on the way through the model.
      await log.next()
      prompt.compute(1..<2)
      prompt.publication.complete()
      #expect(log.count == 1 && prefiller.transport.statistics.withdrawn == 1)
    }
  }

  @Test func `Closing ends claims that wait for a prefill, on either side`() async throws {
    for closesPrefiller in [false, true] {
      try await withWorkers(.shm) { prefiller, decoder in
        let log = EventLog()
        let prompt = try EarlyPrompt([1, 2], of: prefiller) { log.note() }
        let (handoff, target) = (prompt.handoff, blockIDs([5, 6]))
        let pull = Task { await label { _ = try await decoder.transport.pull(handoff, into: target) } }
        prompt.compute(0..<1)
        await awaitBytes(prompt.expected[0], in: 5, of: decoder)
        (closesPrefiller ? prefiller : decoder).transport.close()
        #expect(await pull.value == (closesPrefiller ? "peer_closed" : "closed"))
        prompt.publication.complete()
        prefiller.transport.close()
        #expect(log.count == 1)
      }
    }
  }

  // MARK: A prefiller that breaks the protocol

  private static let bytes = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 3) }

  /// FOLLOWING, then these pieces of two blocks with two layers.
  private func pull(
    _ pieces: [KVPieces], flipping: Bool = false, then end: Frame.Kind = .held
  ) async throws -> String? {
    let scripted = try ScriptedPrefiller { prefiller, channel in
      try prefiller.welcome(channel)
      let claim = try channel.receive(testPatience, for: "CLAIM")
      #expect(try ClaimBody(decoding: claim.body).follows)
      let claimed = ClaimedBody(tokens: 8, blocks: [0, 1])
      try channel.send(Frame(.following, request: 1, generation: 1, body: claimed.encoded), testPatience)
      for one in pieces {
        let payload = Array(Self.bytes.prefix(one.layers.count * one.blocks.count * testLayout.bytesPerLayer))
        let checksum = xs_crc32c(0, payload, payload.count)
        let body = PiecesBody(pieces: one, checksum: flipping ? checksum + 1 : checksum)
        try channel.send(Frame(.pieces, request: 1, generation: 1, body: body.encoded), testPatience)
        try channel.socket.send(payload, testPatience, for: "test")
        try channel.send(Frame(.beat, request: 1, generation: 1), testPatience)
      }
      try channel.send(Frame(end, request: 1, generation: 1), testPatience)
      channel.socket.waitForBytes()
    }
    defer { scripted.close() }
    let decoder = try TestWorker(.tcp, engineID: "decoder")
    defer { decoder.transport.close() }
    var handoff = scripted.handoff(tokens: 8)
    handoff.isEarly = true
    return await label { [handoff] in _ = try await decoder.transport.pull(handoff, into: blockIDs([0, 1])) }
  }

  @Test func `Pieces that are wrong, or come in another order, end the pull`() async throws {
    let all = [KVPieces(layers: 0..<2, blocks: 0..<1), KVPieces(layers: 0..<2, blocks: 1..<2)]
    #expect(try await pull(all) == nil)
    #expect(try await pull(all, flipping: true) == "corrupt")
    #expect(try await pull(all.reversed()) == "protocol_violation")
    #expect(try await pull([all[0], all[0]]) == "protocol_violation")
    #expect(try await pull([KVPieces(layers: 0..<3, blocks: 0..<1)]) == "protocol_violation")
    #expect(try await pull([KVPieces(layers: 0..<1, blocks: 0..<3)]) == "protocol_violation")
    #expect(try await pull(all, then: .released) == "protocol_violation")
    #expect(try await pull([all[0]], then: .held) == "protocol_violation")
  }
}
