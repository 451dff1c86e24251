import Glibc
import KVBlocks
import KVTransfer
import Testing

private let transports: [TransferConfiguration.Transports] = [.shm, .tcp]

/// A prefiller that pushes, and a decoder whose buffer it fills.
private struct PushPair: Sendable {
  let prefiller: TestWorker
  let pusher: Pusher
  let receiver: PushReceiver
  let pool: KVMemory

  func close() {
    pusher.close()
    receiver.close()
    prefiller.transport.close()
  }

  /// Publishes and offers the prefiller's blocks `indices`, as a worker does.
  func push(_ key: PromptKey, _ indices: [Int], to log: EventLog = EventLog()) async throws {
    let tokens = indices.count * testLayout.blockSize
    guard case .granted(let grant) = try await pusher.reserve(key, tokens: tokens) else { return }
    try await pusher.offer(try prefiller.publish(indices, to: log), to: grant)
  }

  func poolBytes(_ blocks: [KVBlockID]) -> [[UInt8]] { blocks.map { Array(pool.bytes(of: $0)) } }
}

private func key(_ number: Int32) -> PromptKey { PromptKey([number], salt: nil) }

private func withPair(
  _ transports: TransferConfiguration.Transports, blocks: Int = 64, wait: Duration = .seconds(30),
  _ configure: (_ sender: inout TransferConfiguration, _ identity: inout KVIdentity) -> Void = { _, _ in },
  _ body: (PushPair) async throws -> Void
) async throws {
  var configuration = TransferConfiguration()
  configuration.transports = transports
  configuration.secret = "of this test"
  let prefiller = try TestWorker(transports, engineID: "prefiller") { own, _ in own.secret = configuration.secret }
  let pool = try KVMemory(layout: testLayout, blockCount: 128)
  let identity = KVIdentity(engineID: "decoder", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
  let receiver = try PushReceiver(
    pool: pool, identity: identity, limits: .init(blocks: blocks), configuration: configuration, logger: silentLogger)
  var (sender, senderIdentity) = (configuration, prefiller.identity)
  configure(&sender, &senderIdentity)
  let pair = PushPair(
    prefiller: prefiller,
    pusher: Pusher(
      host: "localhost", port: receiver.port, identity: senderIdentity, configuration: sender, wait: wait),
    receiver: receiver, pool: pool)
  defer { pair.close() }
  try await body(pair)
}

@Suite(.timeLimit(.minutes(5))) struct PushTests {
  @Test(arguments: transports, [1, 5, 64]) func `What is pushed is found by its content, and comes whole`(
    transport: TransferConfiguration.Transports, blocks: Int
  ) async throws {
    try await withPair(transport) { pair in
      let log = EventLog()
      try await pair.push(key(7), Array(0..<blocks), to: log)
      #expect(log.count == 1, "the prefiller's blocks are free when the push is acknowledged")
      #expect(pair.receiver.claim(key(8)) == nil)
      let handoff = try #require(pair.receiver.claim(key(7)))
      #expect(handoff.tokens == blocks * testLayout.blockSize)
      let target = blockIDs(30..<30 + blocks)
      let report = try await pair.receiver.pull(handoff, into: target)
      #expect(report.bytes == blocks * testLayout.bytesPerBlock)
      #expect(pair.poolBytes(target) == pair.prefiller.bytes(of: blockIDs(0..<blocks)))
      #expect(await label { _ = try await pair.receiver.pull(handoff, into: target) } == "unknown_handoff")
      // A router that tries again finds it again.
      pair.receiver.abandon(try #require(pair.receiver.claim(key(7))))
      let statistics = pair.receiver.statistics
      #expect(statistics.stored == 1 && statistics.hits == 2 && statistics.misses == 1)
      #expect(pair.pusher.statistics == ["stored": 1])
    }
  }

  @Test func `A prompt that can never fit is refused with both numbers, before it is published`() async throws {
    try await withPair(.tcp, blocks: 4) { pair in
      let error = await #expect(throws: KVTransferError.self) { try await pair.push(key(1), Array(0..<5)) }
      let bytes = testLayout.bytesPerBlock
      #expect(error?.label == "buffer_too_small")
      #expect("\(error!)".contains("\(5 * bytes) bytes") && "\(error!)".contains("holds \(4 * bytes)"))
      #expect(pair.prefiller.transport.statistics.published == 0)
      try await pair.push(key(1), Array(0..<4))
    }
  }

  @Test func `Who finds the buffer full waits until somebody has read, or for as long as it may`() async throws {
    try await withPair(.shm, blocks: 4) { pair in
      try await pair.push(key(1), [0, 1, 2])
      async let second: Void = pair.push(key(2), [3, 4, 5])
      while pair.receiver.statistics.waiting == 0 { await Task.yield() }
      _ = try await pair.receiver.pull(try #require(pair.receiver.claim(key(1))), into: blockIDs(0..<3))
      try await second
      #expect(pair.receiver.claim(key(1)) == nil)
      let handoff = try #require(pair.receiver.claim(key(2)))
      _ = try await pair.receiver.pull(handoff, into: blockIDs(0..<3))
      #expect(pair.poolBytes(blockIDs(0..<3)) == pair.prefiller.bytes(of: blockIDs(3..<6)))
    }
    try await withPair(.shm, blocks: 4, wait: .milliseconds(20)) { pair in
      try await pair.push(key(1), [0, 1, 2])
      #expect(await label { try await pair.push(key(2), [3, 4]) } == "buffer_full")
      #expect(pair.receiver.statistics.waiting == 0)
    }
  }

  @Test func `A prompt that the receiver has is not sent again`() async throws {
    try await withPair(.tcp) { pair in
      try await pair.push(key(1), [0])
      try await pair.push(key(1), [0])
      #expect(pair.prefiller.transport.statistics.published == 1)
      #expect(pair.pusher.statistics == ["stored": 1, "known": 1])
    }
  }

  @Test func `Room that a sender gives up, or dies with, is another's`() async throws {
    try await withPair(.tcp, blocks: 4) { pair in
      for round in 0..<10 {
        guard case .granted(let grant) = try await pair.pusher.reserve(key(1), tokens: 16) else { return }
        #expect(pair.receiver.statistics.freeBlocks == 0)
        pair.pusher.giveUp(grant)
        // Waits until the receiver has seen it.
        try await pair.push(key(Int32(10 + round)), [0, 1, 2, 3])
        let handoff = try #require(pair.receiver.claim(key(Int32(10 + round))))
        _ = try await pair.receiver.pull(handoff, into: blockIDs(0..<4))
      }
    }
  }

  @Test func `An offer that cannot be pulled is an error to the sender, and its room is free again`() async throws {
    try await withPair(.tcp, blocks: 4) { pair in
      guard case .granted(let grant) = try await pair.pusher.reserve(key(1), tokens: 16) else { return }
      let handoff = try pair.prefiller.publish([0, 1, 2, 3])
      pair.prefiller.transport.withdraw(handoff.id)
      #expect(await label { try await pair.pusher.offer(handoff, to: grant) } == "push_failed")
      #expect(pair.receiver.claim(key(1)) == nil)
      #expect(pair.receiver.statistics.freeBlocks == 4 && pair.receiver.statistics.failed == 1)
      try await pair.push(key(1), [0, 1, 2, 3])
    }
  }

  @Test func `A sender with another secret or model is refused`() async throws {
    try await withPair(.tcp, blocks: 4, { sender, _ in sender.secret = "another" }) { pair in
      #expect(await label { try await pair.push(key(1), [0]) } == "unauthorized")
    }
    try await withPair(.tcp, blocks: 4, { _, identity in identity.model = "model-b" }) { pair in
      #expect(await label { try await pair.push(key(1), [0]) } == "model_mismatch")
    }
  }

  @Test func `A receiver that is gone is an error in time, and one that is back is found`() async throws {
    let prefiller = try TestWorker(.tcp, engineID: "prefiller")
    defer { prefiller.transport.close() }
    let pool = try KVMemory(layout: testLayout, blockCount: 16)
    var configuration = TransferConfiguration()
    configuration.transports = .tcp
    var pusher: Pusher?
    for life in 1...3 {
      let identity = KVIdentity(
        engineID: "decoder-\(life)", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
      let receiver = try PushReceiver(
        pool: pool, identity: identity, limits: .init(blocks: 8), configuration: configuration, logger: silentLogger)
      configuration.port = receiver.port
      let sender =
        pusher
        ?? Pusher(
          host: "127.0.0.1", port: receiver.port, identity: prefiller.identity, configuration: configuration,
          wait: .seconds(5))
      pusher = sender
      let pair = PushPair(prefiller: prefiller, pusher: sender, receiver: receiver, pool: pool)
      try await pair.push(key(1), [life])
      _ = try await receiver.pull(try #require(receiver.claim(key(1))), into: blockIDs([0]))
      #expect(pair.poolBytes(blockIDs([0])) == prefiller.bytes(of: blockIDs([life])))
      receiver.close()
      #expect(await label { try await pair.push(key(2), [0]) } == "peer_unreachable")
    }
    pusher?.close()
    #expect(await label { _ = try await pusher?.reserve(key(1), tokens: 4) } == "closed")
  }

  @Test func `A push that is cancelled while it waits for room leaves the queue`() async throws {
    try await withPair(.tcp, blocks: 4) { pair in
      try await pair.push(key(1), [0, 1, 2])
      let second = Task { try await pair.push(key(2), [3, 4]) }
      while pair.receiver.statistics.waiting == 0 { await Task.yield() }
      second.cancel()
      #expect(await label { try await second.value } == "cancelled")
    }
  }
}
