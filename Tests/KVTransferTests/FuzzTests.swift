import CLinux
import Glibc
import KVBlocks
import KVTransfer
import TestSupport
import Testing

/// Thousands of streams that are almost right: no crash, no hang, and both sides work on after them.
@Suite(.timeLimit(.minutes(5))) struct FuzzTests {
  private static let streams = 2000

  @Test func `A prefiller survives mutated streams, and holds its handoff to the end`() async throws {
    let prefiller = try TestWorker(engineID: "prefiller") { configuration, _ in
      configuration.timeouts.handshake = .seconds(2)
      configuration.timeouts.stall = .seconds(2)
    }
    defer { prefiller.transport.close() }
    let handoff = try prefiller.publish([1, 2])
    let hello = HelloBody(versions: 1...1, nonce: Array(0..<32), engineID: "d", host: Handshake.host ?? "")
    let claim = ClaimBody(id: handoff.id.bytes!, wantsChecksums: true)
    // DONE names a generation that never comes, so that no stream takes the handoff away.
    let frames = [
      Frame(.hello, body: hello.encoded), Frame(.prove), Frame(.claim, request: 1, body: claim.encoded),
      Frame(.done, request: 1, generation: .max),
    ]
    var mutator = Mutator(seed: 1)
    for _ in 0..<Self.streams {
      let socket = try Socket.dial(
        host: "127.0.0.1", port: prefiller.transport.port, within: .seconds(5), attach: { _ in })
      try? socket.send(mutator.stream(of: frames), testPatience, for: "test")
      shutdown(socket.descriptor, Int32(SHUT_WR))
      // To the end, which must come.
      while (try? socket.receive(1, testPatience, for: "the end")) != nil {}
    }
    let decoder = try TestWorker(engineID: "decoder", seed: 50)
    defer { decoder.transport.close() }
    var last: String?
    repeat {
      last = await label { _ = try await decoder.transport.pull(handoff, into: blockIDs([1, 2])) }
    } while last == "already_claimed"
    #expect(last == nil)
    #expect(decoder.bytes(of: blockIDs([1, 2])) == prefiller.bytes(of: blockIDs([1, 2])))
  }

  @Test func `A receiver survives mutated streams, and its room is free at the end`() async throws {
    let prefiller = try TestWorker(.tcp, engineID: "prefiller")
    defer { prefiller.transport.close() }
    var configuration = TransferConfiguration()
    configuration.transports = .tcp
    let pool = try KVMemory(layout: testLayout, blockCount: 4)
    let identity = KVIdentity(engineID: "decoder", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
    let receiver = try PushReceiver(
      pool: pool, identity: identity, limits: .init(blocks: 4), configuration: configuration, logger: silentLogger)
    defer { receiver.close() }
    let hello = HelloBody(versions: 1...1, nonce: Array(0..<32), engineID: "p", host: "")
    let reserve = ReserveBody(key: PromptKey([1], salt: nil), tokens: 16, waitMilliseconds: 50)
    let offer = OfferBody(id: Array(0..<16), engineID: "prefiller", host: "127.0.0.1", port: 1, tokens: 16)
    let frames = [
      Frame(.hello, body: hello.encoded), Frame(.prove), Frame(.reserve, request: 1, body: reserve.encoded),
      Frame(.offer, request: 1, body: offer.encoded),
    ]
    var mutator = Mutator(seed: 3)
    for _ in 0..<Self.streams / 4 {
      let socket = try Socket.dial(host: "127.0.0.1", port: receiver.port, within: .seconds(5), attach: { _ in })
      try? socket.send(mutator.stream(of: frames), testPatience, for: "test")
      shutdown(socket.descriptor, Int32(SHUT_WR))
      while (try? socket.receive(1, testPatience, for: "the end")) != nil {}
    }
    let pusher = Pusher(
      host: "127.0.0.1", port: receiver.port, identity: prefiller.identity, configuration: configuration,
      wait: .seconds(30))
    defer { pusher.close() }
    guard case .granted(let grant) = try await pusher.reserve(PromptKey([2], salt: nil), tokens: 16) else { return }
    try await pusher.offer(try prefiller.publish([0, 1, 2, 3]), to: grant)
    #expect(receiver.claim(PromptKey([2], salt: nil))?.tokens == 16)
  }

  @Test func `A decoder survives mutated streams, and writes only where it was told`() async throws {
    let payload = (0..<512).map { UInt8(truncatingIfNeeded: $0) }
    let identity = KVIdentity(
      engineID: "prefiller", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
    let welcome = WelcomeBody(version: 1, nonce: Array(0..<32), incarnation: "i", identity: identity)
    let checksums = [payload.prefix(256), payload.suffix(256)].map { xs_crc32c(0, Array($0), 256) }
    let frames = [
      Frame(.welcome, body: welcome.encoded), Frame(.ready, body: ReadyBody().encoded),
      Frame(
        .claimed, request: 1, generation: 1,
        body: ClaimedBody(tokens: 8, blocks: [0, 1]).encoded),
      Frame(
        .data, request: 1, generation: 1, body: DataBody(first: 0, count: 2, checksums: checksums).encoded),
      Frame(.released, request: 1, generation: 1),
    ]
    let mutators = Mutator(seed: 2)
    let streams = StreamBox(mutators, frames, payload)
    let scripted = try ScriptedPrefiller { _, channel in
      try channel.socket.send(streams.next(), testPatience, for: "test")
      shutdown(channel.socket.descriptor, Int32(SHUT_WR))
      while true { _ = try channel.socket.receive(1, testPatience, for: "the end") }
    }
    defer { scripted.close() }
    let decoder = try TestWorker(.tcp, engineID: "decoder", seed: 50)
    defer { decoder.transport.close() }
    let untouched = decoder.bytes(of: blockIDs([0, 3]))
    var outcomes: [String: Int] = [:]
    for _ in 0..<Self.streams {
      let outcome = await label {
        _ = try await decoder.transport.pull(scripted.handoff(tokens: 8), into: blockIDs([1, 2]))
      }
      outcomes[outcome ?? "pulled", default: 0] += 1
      if outcome == nil { #expect(decoder.bytes(of: blockIDs([1, 2])).flatMap { $0 } == payload) }
    }
    #expect(decoder.bytes(of: blockIDs([0, 3])) == untouched)
    // The dice reached every depth of the protocol.
    for label in ["protocol_violation", "peer_closed", "corrupt", "engine_mismatch"] {
      #expect(outcomes[label] != nil, "\(outcomes)")
    }
  }
}

/// Streams for a scripted peer, one a connection.
private final class StreamBox: @unchecked Sendable {
  // SAFETY: only the scripted peer's one thread asks.
  private var mutator: Mutator
  private let frames: [Frame]
  private let payload: [UInt8]

  init(_ mutator: Mutator, _ frames: [Frame], _ payload: [UInt8]) {
    self.mutator = mutator
    self.frames = frames
    self.payload = payload
  }

  func next() -> [UInt8] { mutator.stream(of: frames, payloadAfterData: payload) }
}

/// Makes valid streams invalid: half of the time in their bytes, half in their fields with the checksums put right.
struct Mutator {
  private var dice: SplitMix64

  init(seed: UInt64) { dice = SplitMix64(seed: seed) }

  mutating func stream(of frames: [Frame], payloadAfterData payload: [UInt8] = []) -> [UInt8] {
    var frames = frames
    let inFields = Bool.random(using: &dice)
    if inFields { mutate(&frames) }
    var bytes: [UInt8] = []
    for (index, frame) in frames.enumerated() {
      bytes += frame.encoded(version: 1, sequence: UInt64(index))
      if frame.kind == .data { bytes += payload }
    }
    if !inFields { mutate(&bytes) }
    return bytes
  }

  private mutating func mutate(_ frames: inout [Frame]) {
    let index = Int.random(in: 0..<frames.count, using: &dice)
    switch Int.random(in: 0..<6, using: &dice) {
    case 0: frames.remove(at: index)
    case 1: frames.insert(frames[index], at: index)
    case 2: frames[index].request = UInt64.random(in: 0...2, using: &dice)
    case 3: frames[index].generation = UInt32.random(in: 0...2, using: &dice)
    default: mutate(&frames[index].body)
    }
  }

  private mutating func mutate(_ bytes: inout [UInt8]) {
    for _ in 0...Int.random(in: 0..<3, using: &dice) {
      guard !bytes.isEmpty else { return }
      let index = Int.random(in: 0..<bytes.count, using: &dice)
      switch Int.random(in: 0..<5, using: &dice) {
      case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
      case 1: bytes[index] = UInt8.random(in: 0...255, using: &dice)
      case 2: bytes.removeSubrange(index...)
      case 3: bytes.insert(contentsOf: [0xFF, 0xFF, 0xFF, 0xFF], at: index)
      default: bytes.remove(at: index)
      }
    }
  }
}
