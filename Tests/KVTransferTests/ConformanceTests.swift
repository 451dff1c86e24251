import KVBlocks
import KVTransfer
import Testing

private let transports: [TransferConfiguration.Transports] = [.shm, .tcp] + (nixlIsInstalled ? [.nixl] : [])

/// What every transport must do; the same tests over each.
@Suite(.timeLimit(.minutes(5))) struct ConformanceTests {
  @Test(arguments: transports, [(0, 0), (1, 1), (4, 1), (5, 2), (320, 80)])
  func `What is pulled is what was published, and it is released once`(
    transport: TransferConfiguration.Transports, size: (tokens: Int, blocks: Int)
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let source = Array((0..<size.blocks).map { 127 - $0 })
      let target = blockIDs(20..<20 + size.blocks)
      let untouched = decoder.bytes(of: blockIDs([19, 20 + size.blocks]))
      let handoff = try prefiller.publish(source, tokens: size.tokens, to: log)
      let report = try await decoder.transport.pull(handoff, into: target)
      #expect(decoder.bytes(of: target) == prefiller.bytes(of: blockIDs(source)))
      #expect(decoder.bytes(of: blockIDs([19, 20 + size.blocks])) == untouched)
      #expect(report.transport == transport.rawValue && report.bytes == size.blocks * testLayout.bytesPerBlock)
      #expect(log.count == 1)
      #expect(prefiller.transport.statistics.pulledByPeer == 1 && prefiller.transport.statistics.pending == 0)
      #expect(decoder.transport.statistics.pullsByTransport == [transport.rawValue: 1])
      #expect(decoder.transport.statistics.bytesByTransport == [transport.rawValue: report.bytes])
    }
  }

  @Test func `Two workers on one host choose shared memory, unless one of them will not`() async throws {
    for (theirs, ours, expected) in [
      (TransferConfiguration.Transports.auto, TransferConfiguration.Transports.auto, "shm"),
      (.tcp, .auto, "tcp"), (.auto, .tcp, "tcp"),
    ] {
      try await withWorkers(
        .auto, prefiller: { configuration, _ in configuration.transports = theirs },
        decoder: { configuration, _ in configuration.transports = ours }
      ) { prefiller, decoder in
        let report = try await decoder.transport.pull(try prefiller.publish([0]), into: blockIDs([0]))
        #expect(report.transport == expected)
      }
    }
  }

  @Test(arguments: transports) func `A handoff can be pulled once`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      _ = try await decoder.transport.pull(handoff, into: blockIDs([1]))
      #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([2])) } == "unknown_handoff")
      #expect(log.count == 1)
      #expect(decoder.transport.statistics.failuresByLabel == ["unknown_handoff": 1])
    }
  }

  @Test(arguments: transports) func `Unknown, foreign and malformed handoffs are refused`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let handoff = try prefiller.publish([1, 2])
      func refusal(_ change: (inout KVHandoff) -> Void, room: Int = 2) async -> String? {
        var changed = handoff
        change(&changed)
        var outcome: String?
        // The prefiller may take a moment to notice that the refusal before gave its claim up.
        repeat {
          outcome = await label { _ = try await decoder.transport.pull(changed, into: blockIDs(0..<room)) }
        } while outcome == "already_claimed"
        return outcome
      }
      #expect(await refusal { $0.id = KVHandoff.ID(String(repeating: "0", count: 32)) } == "unknown_handoff")
      #expect(await refusal { $0.id = KVHandoff.ID("../../etc/passwd") } == "unknown_handoff")
      #expect(await refusal { $0.engineID = "another" } == "engine_mismatch")
      #expect(await refusal { $0.tokens = 7 } == "tokens_mismatch")
      #expect(await refusal { $0.tokens = -1 } == "tokens_mismatch")
      #expect(await refusal { $0.tokens = .max } == "destination_too_small")
      #expect(await refusal({ _ in }, room: 1) == "destination_too_small")
      #expect(await refusal { $0.host = "localhost" } == "peer_unreachable", "a name server is asked for a ticket")
      #expect(await refusal { $0.port = 1 } == "peer_unreachable")
      #expect(await refusal { $0.port = 70_000 } == "peer_unreachable")
      #expect(await refusal { $0.port = -1 } == "peer_unreachable")
      // None of them spoiled it.
      #expect(await refusal { _ in } == nil)
    }
  }

  @Test(arguments: transports) func `A handoff that nobody pulls is freed when its lease ends`(
    transport: TransferConfiguration.Transports
  ) async throws {
    let clock = HandClock()
    try await withWorkers(transport, now: clock.now) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], lease: .seconds(30), to: log)
      clock.advance(by: .seconds(29))
      prefiller.transport.expireLeases()
      #expect(log.count == 0)
      clock.advance(by: .seconds(1))
      prefiller.transport.expireLeases()
      #expect(log.count == 1)
      #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([2])) } == "lease_expired")
      #expect(prefiller.transport.statistics.expired == 1)
      #expect(log.count == 1)
    }
  }

  @Test func `The timer frees without being asked`() async throws {
    try await withWorkers(.tcp) { prefiller, _ in
      let (long, short) = (EventLog(), EventLog())
      _ = try prefiller.publish([1], lease: .seconds(3600), to: long)
      _ = try prefiller.publish([2], lease: .milliseconds(20), to: short)
      await short.next()
      #expect(long.count == 0 && prefiller.transport.statistics.expired == 1)
    }
  }

  @Test(arguments: ["shm", "tcp"]) func `A lease that ends while the blocks are sent frees them after, not before`(
    transport: String
  ) async throws {
    let clock = HandClock()
    try await withWorkers(.auto, now: clock.now) { prefiller, _ in
      for leaves in [false, true] {
        let log = EventLog()
        let handoff = try prefiller.publish([1], lease: .seconds(30), to: log)
        let decoder = try ScriptedDecoder(to: prefiller, over: transport)
        #expect(try decoder.claim(handoff).kind == .claimed)
        if transport == "tcp" { try decoder.readBlocks(1) }
        clock.advance(by: .seconds(31))
        prefiller.transport.expireLeases()
        #expect(log.count == 0)
        if leaves { decoder.channel.socket.close() } else { try decoder.done() }
        await log.next()
        let statistics = prefiller.transport.statistics
        #expect(statistics.pulledByPeer == 1 && statistics.expired == (leaves ? 1 : 0))
      }
    }
  }

  @Test(arguments: ["shm", "tcp"]) func `A second claim is refused while the first lives, and granted when it died`(
    transport: String
  ) async throws {
    try await withWorkers(.auto) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      let first = try ScriptedDecoder(to: prefiller, over: transport)
      #expect(try first.claim(handoff).kind == .claimed)
      #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([2])) } == "already_claimed")
      first.channel.socket.close()
      var last: String?
      repeat {
        last = await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([2])) }
      } while last == "already_claimed"
      #expect(last == nil && log.count == 1)
      #expect(decoder.bytes(of: blockIDs([2])) == prefiller.bytes(of: blockIDs([1])))
    }
  }

  @Test(arguments: transports) func `A withdrawn handoff is released at once and only once`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      prefiller.transport.withdraw(handoff.id)
      prefiller.transport.withdraw(handoff.id)
      #expect(log.count == 1 && prefiller.transport.statistics.withdrawn == 1)
      #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([2])) } == "unknown_handoff")
    }
  }

  @Test(arguments: transports) func `Withdrawal and pull may race: released once, and the pull is whole or refused`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      for round in 0..<100 {
        let log = EventLog()
        let handoff = try prefiller.publish([round], to: log)
        async let pulled = label { _ = try await decoder.transport.pull(handoff, into: blockIDs([round])) }
        async let withdrawn: Void = prefiller.transport.withdraw(handoff.id)
        let outcome = await (pulled, withdrawn).0
        #expect(outcome == nil || outcome == "unknown_handoff")
        #expect(log.count == 1)
        if outcome == nil { #expect(decoder.bytes(of: blockIDs([round])) == prefiller.bytes(of: blockIDs([round]))) }
      }
      #expect(prefiller.transport.statistics.pending == 0)
    }
  }

  @Test(arguments: transports) func `Sixty-four pulls at once all arrive`(
    transport: TransferConfiguration.Transports
  ) async throws {
    try await withWorkers(transport) { prefiller, decoder in
      let log = EventLog()
      let handoffs = try (0..<64).map { try prefiller.publish([2 * $0, 2 * $0 + 1], to: log) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (index, handoff) in handoffs.enumerated() {
          let target = blockIDs([127 - 2 * index, 126 - 2 * index])
          group.addTask { _ = try await decoder.transport.pull(handoff, into: target) }
        }
        try await group.waitForAll()
      }
      #expect(log.count == 64)
      #expect(decoder.bytes(of: blockIDs((0..<128).reversed())) == prefiller.bytes(of: blockIDs(0..<128)))
    }
  }

  @Test(arguments: transports) func `A prefiller that restarts at its address is found again`(
    transport: TransferConfiguration.Transports
  ) async throws {
    let decoder = try TestWorker(transport, engineID: "decoder", seed: 9)
    defer { decoder.transport.close() }
    var port = 0
    var stale: KVHandoff?
    for life in 1...3 {
      let prefiller = try TestWorker(transport, engineID: "prefiller-\(life)", seed: UInt8(life)) { configuration, _ in
        configuration.port = port
      }
      defer { prefiller.transport.close() }
      port = prefiller.transport.port
      if let stale {
        #expect(await label { _ = try await decoder.transport.pull(stale, into: blockIDs([1])) } == "engine_mismatch")
      }
      for _ in 0..<2 { _ = try await decoder.transport.pull(try prefiller.publish([3]), into: blockIDs([4])) }
      #expect(decoder.bytes(of: blockIDs([4])) == prefiller.bytes(of: blockIDs([3])))
      stale = try prefiller.publish([5])
    }
    #expect(await label { _ = try await decoder.transport.pull(stale!, into: blockIDs([1])) } == "peer_unreachable")
  }

  @Test func `Closing releases what is published, and ends what is under way`() async throws {
    let prefiller = try TestWorker(.auto, engineID: "prefiller")
    let log = EventLog()
    let handoff = try prefiller.publish([1], to: log)
    let claimed = try prefiller.publish([2], to: log)
    _ = try ScriptedDecoder(to: prefiller, over: "shm").claim(claimed)
    prefiller.transport.close()
    #expect(log.count == 2)
    #expect(await label { _ = try prefiller.publish([1]) } == "closed")
    #expect(await label { _ = try await prefiller.transport.pull(handoff, into: blockIDs([1])) } == "closed")
  }
}
