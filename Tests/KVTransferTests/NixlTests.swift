import CLinux
import KVBlocks
import KVTransfer
import Testing

@Suite(.timeLimit(.minutes(5))) struct NixlTests {
  @Test func `Blocks that are neighbours on both sides are read as one`() {
    func spans(_ sources: [UInt32], _ targets: [Int]) -> [[UInt]]? {
      NixlSpan.spans(
        sources, at: 1000, blockCount: 8, into: blockIDs(targets), at: 5000, bytesPerBlock: 10
      )?.map { [$0.remote, $0.local, UInt($0.bytes)] }
    }
    #expect(spans([], []) == [])
    #expect(spans([3], [0, 1]) == [[1030, 5000, 10]])
    #expect(spans([0, 1, 2], [4, 5, 6]) == [[1000, 5040, 30]])
    #expect(spans([0, 1, 3], [4, 5, 6]) == [[1000, 5040, 20], [1030, 5060, 10]])
    #expect(spans([0, 1], [6, 5]) == [[1000, 5060, 10], [1010, 5050, 10]])
    #expect(spans([7], [0]) == [[1070, 5000, 10]] && spans([8], [0]) == nil && spans([.max], [0]) == nil)
  }

  @Test func `Where NIXL must be and is not, the error says how to install it`() async throws {
    for path in ["/nowhere", "/nowhere/libnixl_capi.so", "/usr/lib", "/etc/passwd"] {
      do {
        _ = try TestWorker(.nixl) { configuration, _ in configuration.nixlLibrary = path }
        Issue.record("\(path) was taken for NIXL")
      } catch let error as KVTransferError {
        #expect(error.label == "nixl_unavailable")
        #expect("\(error)".contains(path) && "\(error)".contains("pip install"), "\(error)")
      }
    }
  }

  @Test func `Where NIXL may be and is not, KV moves in another way`() async throws {
    try await withWorkers(
      .auto, prefiller: { configuration, _ in configuration.nixlLibrary = "/nowhere" },
      decoder: { configuration, _ in
        (configuration.transports, configuration.nixlLibrary) = (.tcp, "/nowhere")
      }
    ) { prefiller, decoder in
      let report = try await decoder.transport.pull(try prefiller.publish([0]), into: blockIDs([0]))
      #expect(report.transport == "tcp")
    }
  }
}

/// With the library; its agents take half a second each.
@Suite(.timeLimit(.minutes(5)), .enabled(if: nixlIsInstalled, "NIXL is not installed: `make test` installs it"))
struct NixlFaultTests {
  struct Fault: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var label: String?
    /// What LOCATED says, made from the truth.
    var located: @Sendable (inout LocatedBody) -> Void = { _ in }
    var blocks: [UInt32] = [3, 4]
    var spoilsChecksum = false
    var servesNoRead = false
  }

  static let faults = [
    Fault(testDescription: "does all as it should", label: nil),
    Fault(testDescription: "cannot be read just now", label: "nixl_failed", located: { $0.metadata = [] }),
    Fault(testDescription: "sends no metadata of NIXL's", label: "nixl_failed", located: { $0.metadata = [1, 2, 3] }),
    Fault(testDescription: "names another agent", label: "nixl_failed", located: { $0.name = "another" }),
    Fault(
      testDescription: "has its pool at the end of the world", label: "nixl_failed", located: { $0.base = .max - 9 }),
    Fault(testDescription: "has its pool where it has none", label: "nixl_failed", located: { $0.base = 4096 }),
    Fault(testDescription: "claims a block outside its pool", label: "protocol_violation", blocks: [3, 16]),
    Fault(testDescription: "has read other bytes", label: "corrupt", spoilsChecksum: true),
    // The last: NIXL keeps the half, and takes no other metadata of this agent any more.
    Fault(testDescription: "sends half its metadata", label: "nixl_failed") { $0.metadata.removeLast(40) },
  ]

  /// One prefiller, one decoder, and the faults one after the other: what a peer does wrong must not spoil the agent.
  @Test func `A peer's faults end the pull with a clear error, and the next one works`() async throws {
    let memory = try KVMemory(layout: testLayout, blockCount: 16)
    for block in blockIDs(0..<16) {
      memory.bytes(of: block).copyBytes(from: repeatElement(UInt8(block.index), count: 256))
    }
    let agent = try NixlAgent.start(try NixlLibrary.open(nil), over: memory)
    defer { agent.close() }
    let decoder = try TestWorker(.nixl, engineID: "decoder")
    defer { decoder.transport.close() }
    for fault in Self.faults {
      let scripted = try ScriptedPrefiller { try Self.script(fault, agent, memory, $0, $1) }
      let outcome = await label {
        _ = try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs([0, 1]))
      }
      scripted.close()
      #expect(outcome == fault.label, "\(fault.testDescription)")
      if outcome == nil {
        #expect(decoder.bytes(of: blockIDs([0, 1])) == [3, 4].map { Array(repeating: $0, count: 256) })
      }
    }
    let healthy = try TestWorker(.nixl)
    defer { healthy.transport.close() }
    let report = try await decoder.transport.pull(try healthy.publish([9]), into: blockIDs([5]))
    #expect(report.transport == "nixl" && decoder.bytes(of: blockIDs([5])) == healthy.bytes(of: blockIDs([9])))
  }

  private static func script(
    _ fault: Fault, _ agent: NixlAgent, _ memory: KVMemory, _ prefiller: ScriptedPrefiller, _ channel: FrameChannel
  ) throws {
    let end = testPatience.end
    _ = try Handshake.welcome(channel, as: prefiller.identity, incarnation: "i", secret: nil, timeout: .seconds(5))
    try channel.send(Frame(.ready, body: ReadyBody(poolBlocks: 16).encoded), testPatience)
    _ = try channel.receive(testPatience, for: "LOCATE")
    var located = try agent.advert(until: end)
    fault.located(&located)
    try channel.send(Frame(.located, body: located.encoded), testPatience)
    let claim = try ClaimBody(decoding: try channel.receive(testPatience, for: "CLAIM").body)
    #expect(claim.wantsChecksums && claim.readsBlocks)
    let claimed = ClaimedBody(tokens: 8, blocks: fault.blocks)
    try channel.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
    var checksums = blockIDs([3, 4]).map { xs_crc32c(0, memory.bytes(of: $0).baseAddress, testLayout.bytesPerBlock) }
    if fault.spoilsChecksum { checksums[1] &+= 1 }
    let data = DataBody(first: 0, count: 2, checksums: checksums)
    try channel.send(Frame(.data, request: 1, generation: 1, body: data.encoded), testPatience)
    while !fault.servesNoRead, channel.socket.isQuiet { agent.serveReads(until: end) }
    _ = try channel.receive(testPatience, for: "DONE")
    try channel.send(Frame(.released, request: 1, generation: 1), testPatience)
  }

  /// The first read of a connection needs the other side: so this one is under way until it is given up.
  @Test(arguments: ["timed_out", "cancelled"]) func `A read that does not end is given up, and the next pull works`(
    reason: String
  ) async throws {
    let memory = try KVMemory(layout: testLayout, blockCount: 16)
    let agent = try NixlAgent.start(try NixlLibrary.open(nil), over: memory)
    defer { agent.close() }
    let decoder = try TestWorker(.nixl, engineID: "decoder") { configuration, _ in
      configuration.timeouts.stall = .milliseconds(200)
      if reason == "timed_out" { configuration.timeouts.pull = .seconds(1) }
    }
    defer { decoder.transport.close() }
    let claimed = EventLog()
    let hanging = try ScriptedPrefiller { prefiller, channel in
      var fault = Self.faults[0]
      fault.servesNoRead = true
      fault.located = { _ in claimed.note() }
      try Self.script(fault, agent, memory, prefiller, channel)
    }
    let pull = Task {
      await label { _ = try await decoder.transport.pull(hanging.handoff(tokens: 8), into: blockIDs([0, 1])) }
    }
    await claimed.next()
    if reason == "cancelled" { pull.cancel() }
    #expect(await pull.value == reason)
    hanging.close()
    try await withWorkers(.nixl) { healthy, _ in
      let outcome = await label {
        _ = try await decoder.transport.pull(try healthy.publish([7]), into: blockIDs([0]))
      }
      #expect(outcome == nil)
      #expect(decoder.bytes(of: blockIDs([0])) == healthy.bytes(of: blockIDs([7])))
    }
  }

  @Test func `A decoder that may choose takes TCP from a peer whose NIXL fails`() async throws {
    let payload = [UInt8](repeating: 7, count: 2 * testLayout.bytesPerBlock)
    let scripted = try ScriptedPrefiller { prefiller, channel in
      _ = try Handshake.welcome(channel, as: prefiller.identity, incarnation: "i", secret: nil, timeout: .seconds(5))
      try channel.send(Frame(.ready, body: ReadyBody(poolBlocks: 16).encoded), testPatience)
      _ = try channel.receive(testPatience, for: "LOCATE")
      try channel.send(Frame(.located, body: LocatedBody(name: "", base: 0, metadata: []).encoded), testPatience)
      #expect(!(try ClaimBody(decoding: try channel.receive(testPatience, for: "CLAIM").body).readsBlocks))
      let claimed = ClaimedBody(tokens: 8, blocks: [0, 1])
      try channel.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
      let checksum = xs_crc32c(0, payload, testLayout.bytesPerBlock)
      try prefiller.data(channel, count: 2, checksums: [checksum, checksum], payload: payload)
      _ = try channel.receive(testPatience, for: "DONE")
      try channel.send(Frame(.released, request: 1, generation: 1), testPatience)
    }
    defer { scripted.close() }
    let library = try NixlLibrary.open(nil).path
    let decoder = try TestWorker(.auto, engineID: "decoder") { configuration, _ in configuration.nixlLibrary = library }
    defer { decoder.transport.close() }
    let report = try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs([0, 1]))
    #expect(report.transport == "tcp" && decoder.bytes(of: blockIDs([0, 1])).flatMap { $0 } == payload)
  }

  @Test func `Only NIXL will do, and the peer has none`() async throws {
    try await withWorkers(.nixl, prefiller: { configuration, _ in configuration.transports = .tcp }) {
      prefiller, decoder in
      let handoff = try prefiller.publish([1])
      #expect(await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([1])) } == "peer_unreachable")
    }
  }
}
