import CLinux
import Glibc
import KVBlocks
import KVTransfer
import Testing

/// What goes wrong at the prefiller, at each step that the decoder waits for.
struct PrefillerFault: Sendable, CustomTestStringConvertible {
  let name: String
  /// The error that the pull must end with; nil: it must succeed.
  let label: String?
  let script: @Sendable (ScriptedPrefiller, FrameChannel) throws -> Void

  init(
    _ name: String, _ label: String?, _ script: @escaping @Sendable (ScriptedPrefiller, FrameChannel) throws -> Void
  ) {
    self.name = name
    self.label = label
    self.script = script
  }

  var testDescription: String { name }

  /// Eight tokens: two blocks of 256 bytes.
  static let tokens = 8
  static let payload = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 3) }
  static let checksums = [payload.prefix(256), payload.suffix(256)].map { xs_crc32c(0, Array($0), 256) }

  /// Silence, until the decoder gives up.
  private static func hang(_ channel: FrameChannel) { channel.socket.waitForBytes() }

  private static func awaitDone(_ channel: FrameChannel) throws { _ = try channel.receive(testPatience, for: "DONE") }

  static let inHandshake: [PrefillerFault] = [
    PrefillerFault("closes before WELCOME", "peer_closed") { _, _ in },
    PrefillerFault("hangs before WELCOME", "timed_out") { _, channel in
      _ = try channel.receive(testPatience, for: "HELLO")
      hang(channel)
    },
    PrefillerFault("speaks HTTP", "protocol_violation") { _, channel in
      try channel.socket.send(
        Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8), testPatience, for: "test")
      hang(channel)
    },
    PrefillerFault("speaks a later version", "version_mismatch") { _, channel in
      _ = try channel.receive(testPatience, for: "HELLO")
      try channel.send(
        Frame(.reject, body: RejectBody(reason: .version, versions: 7...9).encoded), testPatience)
    },
    PrefillerFault("announces a frame of 4 GiB", "protocol_violation") { _, channel in
      var header = Frame(.welcome).encoded(version: 1, sequence: 0)
      header.replaceSubrange(12..<16, with: [255, 255, 255, 255])
      try channel.socket.send(header, testPatience, for: "test")
      hang(channel)
    },
    PrefillerFault("hangs before READY", "timed_out") { prefiller, channel in
      _ = try Handshake.welcome(
        channel, as: prefiller.identity, incarnation: "i", secret: nil, timeout: .seconds(5))
      hang(channel)
    },
    PrefillerFault("names a Unix socket that is not there", nil) { prefiller, channel in
      _ = try Handshake.welcome(
        channel, as: prefiller.identity, incarnation: "i", secret: nil, timeout: .seconds(5))
      try channel.send(Frame(.ready, body: ReadyBody(unixName: "xpyd-kv-nobody").encoded), testPatience)
      try answerAll(prefiller, channel)
    },
  ]

  static let inPull: [PrefillerFault] = [
    PrefillerFault("closes before CLAIMED", "peer_closed") { prefiller, channel in
      try prefiller.welcome(channel)
    },
    PrefillerFault("hangs before CLAIMED", "timed_out") { prefiller, channel in
      try prefiller.welcome(channel)
      _ = try channel.receive(testPatience, for: "CLAIM")
      hang(channel)
    },
    PrefillerFault("has other tokens", "tokens_mismatch") { prefiller, channel in
      try prefiller.grant(channel, tokens: 9, blocks: 3)
    },
    PrefillerFault("has too few blocks", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 1)
    },
    PrefillerFault("closes in mid block", "peer_closed") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try prefiller.data(channel, count: 2, checksums: checksums, payload: Array(payload.prefix(300)))
    },
    PrefillerFault("hangs in mid block", "timed_out") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try prefiller.data(channel, count: 2, checksums: checksums, payload: Array(payload.prefix(300)))
      hang(channel)
    },
    PrefillerFault("sends a flipped bit", "corrupt") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      var flipped = payload
      flipped[400] ^= 16
      try prefiller.data(channel, count: 2, checksums: checksums, payload: flipped)
      hang(channel)
    },
    PrefillerFault("sends no checksums", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try prefiller.data(channel, count: 2, payload: payload)
    },
    PrefillerFault("sends the second block first", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try prefiller.data(channel, first: 1, count: 1, checksums: [checksums[1]], payload: Array(payload.suffix(256)))
    },
    PrefillerFault("sends more blocks than were claimed", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try prefiller.data(channel, count: .max, checksums: checksums, payload: payload)
    },
    PrefillerFault("sends RELEASED in place of DATA", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try channel.send(Frame(.released, request: 1, generation: 1), testPatience)
    },
    PrefillerFault("answers another request", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      try channel.send(Frame(.data, request: 2, generation: 1), testPatience)
    },
    PrefillerFault("closes before RELEASED", "peer_closed") { prefiller, channel in
      try sendAll(prefiller, channel)
      try awaitDone(channel)
    },
    PrefillerFault("hangs before RELEASED", "timed_out") { prefiller, channel in
      try sendAll(prefiller, channel)
      try awaitDone(channel)
      hang(channel)
    },
    PrefillerFault("releases another generation", "protocol_violation") { prefiller, channel in
      try sendAll(prefiller, channel)
      try awaitDone(channel)
      try channel.send(Frame(.released, request: 1, generation: 2), testPatience)
    },
    PrefillerFault("repeats a frame", "protocol_violation") { prefiller, channel in
      try prefiller.grant(channel, tokens: tokens, blocks: 2)
      let again = Frame(.data, request: 1, generation: 1).encoded(version: 1, sequence: 2)
      try channel.socket.send(again, testPatience, for: "test")
    },
    PrefillerFault("sends a frame of an unknown type", "protocol_violation") { prefiller, channel in
      try prefiller.welcome(channel)
      try channel.socket.send(frameOfUnknownType(flags: 0), testPatience, for: "test")
      hang(channel)
    },
    PrefillerFault("does all as it should", nil) { prefiller, channel in
      try prefiller.welcome(channel)
      try answerAll(prefiller, channel)
    },
  ]

  private static func sendAll(_ prefiller: ScriptedPrefiller, _ channel: FrameChannel) throws {
    try prefiller.grant(channel, tokens: tokens, blocks: 2)
    try prefiller.data(channel, count: 2, checksums: checksums, payload: payload)
  }

  private static func answerAll(_ prefiller: ScriptedPrefiller, _ channel: FrameChannel) throws {
    _ = try channel.receive(testPatience, for: "CLAIM")
    let claimed = ClaimedBody(tokens: UInt64(tokens), blocks: [0, 1])
    try channel.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
    try prefiller.data(channel, count: 2, checksums: checksums, payload: payload)
    try awaitDone(channel)
    try channel.send(Frame(.released, request: 1, generation: 1), testPatience)
    hang(channel)
  }

  /// Third on its connection, as a later version might send it.
  static func frameOfUnknownType(flags: UInt8) -> [UInt8] {
    var bytes = Frame(.done, request: 1, body: [1, 2, 3]).encoded(version: 1, sequence: 2)
    bytes[6] = 99
    bytes[8] = flags
    let checksum = Frame.checksum(header: Array(bytes[..<36]), body: [1, 2, 3])
    withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(36..<40, with: $0) }
    return bytes
  }
}

@Suite(.timeLimit(.minutes(5))) struct PrefillerFaultTests {
  @Test(arguments: PrefillerFault.inHandshake + PrefillerFault.inPull)
  func `The pull ends with a clear error, and the next one works`(fault: PrefillerFault) async throws {
    let scripted = try ScriptedPrefiller(fault.script)
    defer { scripted.close() }
    try await withWorkers(
      .auto,
      decoder: { configuration, _ in
        guard fault.label == "timed_out" else { return }
        configuration.timeouts.handshake = .milliseconds(300)
        configuration.timeouts.stall = .milliseconds(300)
      }
    ) { healthy, decoder in
      let handoff = scripted.handoff(tokens: PrefillerFault.tokens)
      let outcome = await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([0, 1])) }
      #expect(outcome == fault.label)
      if outcome == nil {
        #expect(decoder.bytes(of: blockIDs([0, 1])).flatMap { $0 } == PrefillerFault.payload)
      }
      _ = try await decoder.transport.pull(try healthy.publish([7]), into: blockIDs([0]))
      #expect(decoder.bytes(of: blockIDs([0])) == healthy.bytes(of: blockIDs([7])))
    }
  }

  @Test func `A frame of unknown type that is marked optional is skipped`() async throws {
    let scripted = try ScriptedPrefiller { prefiller, channel in
      try prefiller.welcome(channel)
      _ = try channel.receive(testPatience, for: "CLAIM")
      try channel.socket.send(PrefillerFault.frameOfUnknownType(flags: 1), testPatience, for: "test")
      let claimed = ClaimedBody(tokens: 0, blocks: [])
      let next = Frame(.claimed, request: 1, generation: 1, body: claimed.encoded).encoded(version: 1, sequence: 3)
      try channel.socket.send(next, testPatience, for: "test")
      _ = try channel.receive(testPatience, for: "DONE")
      let last = Frame(.released, request: 1, generation: 1).encoded(version: 1, sequence: 4)
      try channel.socket.send(last, testPatience, for: "test")
    }
    defer { scripted.close() }
    let decoder = try TestWorker(engineID: "decoder")
    defer { decoder.transport.close() }
    #expect(try await decoder.transport.pull(scripted.handoff(tokens: 0), into: []).bytes == 0)
  }

  @Test func `A peer without the memory it promises is pulled from over TCP`() async throws {
    for file in BadPool.bad {
      let scripted = try ScriptedPrefiller { prefiller, channel in
        _ = try Handshake.welcome(
          channel, as: prefiller.identity, incarnation: "test-\(prefiller.port)", secret: nil, timeout: .seconds(5))
        try BadPool.serveUnix(file, prefiller) { name in
          try channel.send(Frame(.ready, body: ReadyBody(unixName: name).encoded), testPatience)
        }
        _ = try channel.receive(testPatience, for: "CLAIM")
        try channel.send(Frame(.deny, request: 1, body: DenyBody.unknown.encoded), testPatience)
      }
      defer { scripted.close() }
      let decoder = try TestWorker(engineID: "decoder")
      defer { decoder.transport.close() }
      let outcome = await label {
        _ = try await decoder.transport.pull(scripted.handoff(tokens: 4), into: blockIDs([0]))
      }
      #expect(outcome == "unknown_handoff", "\(file)")
    }
  }
}

/// Checksums over shared memory: asked for with `always`.
@Suite(.timeLimit(.minutes(5))) struct SharedMemoryChecksumTests {
  @Test(arguments: [false, true]) func `A copy that differs from what the prefiller reads is an error`(
    differs: Bool
  ) async throws {
    let scripted = try ScriptedPrefiller { prefiller, channel in
      _ = try Handshake.welcome(
        channel, as: prefiller.identity, incarnation: "test-\(prefiller.port)", secret: nil, timeout: .seconds(5))
      try BadPool.serveUnix(.good, prefiller) { name in
        try channel.send(Frame(.ready, body: ReadyBody(unixName: name).encoded), testPatience)
      } _: { unix in
        let claim = try unix.receive(testPatience, for: "CLAIM")
        #expect(try ClaimBody(decoding: claim.body).wantsChecksums)
        let claimed = ClaimedBody(tokens: 8, blocks: [3, 4])
        try unix.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
        let zeros = [UInt8](repeating: 0, count: testLayout.bytesPerBlock)
        let right = xs_crc32c(0, zeros, zeros.count)
        let data = DataBody(first: 0, count: 2, checksums: [right, differs ? right + 1 : right])
        try unix.send(Frame(.data, request: 1, generation: 1, body: data.encoded), testPatience)
        _ = try unix.receive(testPatience, for: "DONE")
        try unix.send(Frame(.released, request: 1, generation: 1), testPatience)
      }
    }
    defer { scripted.close() }
    let decoder = try TestWorker(engineID: "decoder") { configuration, _ in configuration.checksums = .always }
    defer { decoder.transport.close() }
    let outcome = await label {
      _ = try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs([0, 1]))
    }
    #expect(outcome == (differs ? "corrupt" : nil))
  }
}

/// Memory files that must not be mapped, and one that may.
private enum BadPool: CaseIterable {
  case none, unsealed, tooSmall, absurdlyLarge, foreign, good

  static let bad = allCases.filter { $0 != .good }

  /// Listens on an abstract socket, tells its name, hands this file to the first who comes, and goes on with it.
  static func serveUnix(
    _ file: BadPool, _ prefiller: ScriptedPrefiller, _ tell: (String) throws -> Void,
    _ goOn: (FrameChannel) throws -> Void = { _ in }
  ) throws {
    let name = "xpyd-kv-test-\(prefiller.port)"
    let listener = Socket.listen(on: .abstract(name))
    defer { close(listener) }
    try tell(name)
    var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    poll(&poller, 1, 5000)
    let channel = FrameChannel(Socket(adopting: xs_accept(listener), peer: "decoder"))
    _ = try Handshake.welcome(
      channel, as: prefiller.identity, incarnation: file == .foreign ? "i" : "test-\(prefiller.port)", secret: nil,
      timeout: .seconds(5))
    let blocks: UInt64 = file == .absurdlyLarge ? .max : 16
    let ready = Frame(.ready, body: ReadyBody(poolBlocks: blocks).encoded)
    guard file != .none else { return try channel.send(ready, testPatience) }
    let memory = xs_memfd_create("test")
    defer { close(memory) }
    ftruncate(memory, file == .tooSmall ? 15 * testLayout.bytesPerBlock : 16 * testLayout.bytesPerBlock)
    if file != .unsealed { _ = xs_seal_size(memory) }
    try channel.send(ready, descriptor: memory, testPatience)
    try goOn(channel)
  }
}
