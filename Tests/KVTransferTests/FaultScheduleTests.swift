import Glibc
import KVBlocks
import KVTransfer
import Synchronization
import TestSupport
import Testing

/// Random faults from a seed: whatever strikes, and when, the KV is right or the error clear, every block comes back, and the
/// peer is usable afterwards.
///
/// `XPYD_FAULT_SCHEDULES=10000 swift test -c release --filter FaultScheduleTests` runs so many of each; `XPYD_FAULT_SEED`
/// names the first.
@Suite(.timeLimit(.minutes(60))) struct FaultScheduleTests {
  private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }
  private static let schedules = number("XPYD_FAULT_SCHEDULES") ?? 60
  private static let firstSeed = number("XPYD_FAULT_SEED") ?? 1

  @Test func `Pulls survive random faults`() async throws {
    for seed in Self.firstSeed..<Self.firstSeed + Self.schedules {
      var schedule = try PullSchedule(seed: UInt64(seed))
      let problem = await schedule.run()
      #expect(problem == nil, "XPYD_FAULT_SEED=\(seed)")
      if problem != nil { return }
    }
  }

  @Test func `Pushes survive random faults`() async throws {
    for seed in Self.firstSeed..<Self.firstSeed + Self.schedules {
      var schedule = try PushSchedule(seed: UInt64(seed))
      let problem = await schedule.run()
      #expect(problem == nil, "XPYD_FAULT_SEED=\(seed)")
      if problem != nil { return }
    }
  }
}

private struct Problem: Error {
  var text: String
  init(_ text: String) { self.text = text }
}

/// Notes the first of two things.
private final class Once: Sendable {
  private let isDone = Atomic(false)

  func note(in log: EventLog) {
    if !isDone.exchange(true, ordering: .relaxed) { log.note() }
  }
}

/// The last claims end when the other side sees their connections end, which is soon.
/// - Returns: What went wrong.
private func unreleased(_ released: EventLog, of published: Int) async -> String? {
  let deadline = ContinuousClock.now + .seconds(60)
  while released.count < published, ContinuousClock.now < deadline { await Task.yield() }
  return released.count == published ? nil : "\(released.count) of \(published) handoffs were released"
}

extension FaultyRelay.Fault {
  /// In the handshake, the claim or the data: all are within the first two KiB of a stream.
  fileprivate static func random(_ dice: inout SplitMix64) -> FaultyRelay.Fault {
    // A hang costs a time-out each, so there are few.
    let kinds = Kind.allCases + [.cut, .cut, .flippedBit, .flippedBit, .missingByte, .doubledByte]
    return FaultyRelay.Fault(
      kind: kinds.randomElement(using: &dice)!, isAnswer: Bool.random(using: &dice),
      byte: Int.random(in: 0..<2000, using: &dice))
  }
}

/// A prefiller and a decoder, and a few handoffs between them of which each meets a fault.
private struct PullSchedule {
  private enum Fault: CaseIterable {
    case onTheWire, cancelled, withdrawn, leaseEnds, prefillerRestarts, decoderRestarts, abandoned, none
  }

  private let clock = HandClock()
  private let transport: TransferConfiguration.Transports
  private var dice: SplitMix64
  private var prefiller: TestWorker
  private var decoder: TestWorker
  private let released = EventLog()
  private var published = 0
  private var life = 1
  /// Prompts that were given out before they were computed have blocks of their own.
  private var nextBlock = 10

  init(seed: UInt64) throws {
    dice = SplitMix64(seed: seed)
    transport = Bool.random(using: &dice) ? .shm : .tcp
    prefiller = try TestWorker(transport, engineID: "prefiller-1", seed: 1, now: clock.now)
    decoder = try TestWorker(transport, engineID: "decoder", seed: 101)
  }

  /// - Returns: What went wrong.
  mutating func run() async -> String? {
    defer {
      prefiller.transport.close()
      decoder.transport.close()
    }
    do {
      for _ in 0..<4 {
        let fault = Fault.allCases.randomElement(using: &dice)!
        do { try await strike(fault) } catch let problem as Problem { return "\(fault): \(problem.text)" }
        // The pair works as if nothing had been.
        let clean = try publish([9])
        _ = try await decoder.transport.pull(clean, into: blockIDs([9]))
        guard decoder.bytes(of: blockIDs([9])) == prefiller.bytes(of: blockIDs([9])) else {
          return "wrong bytes after \(fault)"
        }
      }
      clock.advance(by: .seconds(31))
      prefiller.transport.expireLeases()
      return await unreleased(released, of: published)
        ?? (prefiller.transport.statistics.pending == 0 ? nil : "handoffs are pending that were released")
    } catch {
      return "\(error)"
    }
  }

  private mutating func publish(_ blocks: [Int]) throws -> KVHandoff {
    published += 1
    return try prefiller.publish(blocks, lease: .seconds(30), to: released)
  }

  /// A handoff, and what is to be found under it.
  private typealias Prompt = (handoff: KVHandoff, expected: [[UInt8]], prefill: Task<Void, Never>?)

  /// Half of them are computed only now, and a few of these are given up on the way.
  private mutating func prompt(_ count: Int) throws -> Prompt {
    guard Bool.random(using: &dice) else {
      return (try publish(Array(0..<count)), prefiller.bytes(of: blockIDs(0..<count)), nil)
    }
    let (once, released) = (Once(), released)
    let prompt = try EarlyPrompt(Array(nextBlock..<nextBlock + count), of: prefiller) { once.note(in: released) }
    nextBlock += count
    published += 1
    let end = Int.random(in: 0..<6, using: &dice) == 0 ? Int.random(in: 0..<count, using: &dice) : count
    let yields = (0..<2 * count).map { _ in Int.random(in: 0..<30, using: &dice) }
    let prefill = Task.detached {
      for block in 0..<end {
        for layer in 0..<testLayout.layers {
          for _ in 0..<yields[2 * block + layer] { await Task.yield() }
          prompt.compute(block..<block + 1, layers: layer..<layer + 1)
        }
      }
      if end == count { return prompt.publication.complete() }
      prompt.publication.fail()
      once.note(in: released)
    }
    return (prompt.handoff, prompt.expected, prefill)
  }

  private mutating func strike(_ fault: Fault) async throws {
    let prompt = try prompt(Int.random(in: 1...6, using: &dice))
    try await strike(fault, prompt)
    await prompt.prefill?.value
  }

  private mutating func strike(_ fault: Fault, _ prompt: Prompt) async throws {
    let handoff = prompt.handoff
    let (prefiller, decoder, target) = (prefiller, decoder, blockIDs(0..<prompt.expected.count))
    let yields = Int.random(in: 0..<40, using: &dice)
    switch fault {
    case .none: try await pull(prompt, into: target, mayFail: false)
    case .onTheWire: try await pullOverRelay(prompt, into: target)
    case .cancelled:
      let pull = Task { try await decoder.transport.pull(handoff, into: target) }
      for _ in 0..<yields { await Task.yield() }
      pull.cancel()
      _ = await pull.result
    case .withdrawn:
      async let outcome: Void = pull(prompt, into: target, mayFail: true)
      for _ in 0..<yields { await Task.yield() }
      prefiller.transport.withdraw(handoff.id)
      try await outcome
    case .leaseEnds:
      async let outcome: Void = pull(prompt, into: target, mayFail: true)
      for _ in 0..<yields { await Task.yield() }
      clock.advance(by: .seconds(31))
      prefiller.transport.expireLeases()
      try await outcome
    case .abandoned: decoder.transport.abandon(handoff)
    case .prefillerRestarts:
      async let outcome: Void = pull(prompt, into: target, mayFail: true)
      for _ in 0..<yields { await Task.yield() }
      let port = prefiller.transport.port
      prefiller.transport.close()
      try await outcome
      life += 1
      self.prefiller = try TestWorker(
        transport, engineID: "prefiller-\(life)", seed: UInt8(life), { configuration, _ in configuration.port = port },
        now: clock.now)
    case .decoderRestarts:
      async let outcome: Void = pull(prompt, into: target, mayFail: true)
      for _ in 0..<yields { await Task.yield() }
      decoder.transport.close()
      try await outcome
      self.decoder = try TestWorker(transport, engineID: "decoder", seed: 101)
    }
  }

  /// A pull that says it has succeeded has the right bytes.
  private func pull(_ prompt: Prompt, into target: [KVBlockID], mayFail: Bool) async throws {
    do {
      _ = try await decoder.transport.pull(prompt.handoff, into: target)
    } catch {
      guard mayFail || isGivenUp(prompt, error.label) else { throw Problem("\(error)") }
      return
    }
    guard decoder.bytes(of: target) == prompt.expected else {
      throw Problem("a pull that succeeded has wrong bytes")
    }
  }

  /// As a prefill that fails says it, and as one that has failed is known.
  private func isGivenUp(_ prompt: Prompt, _ label: String?) -> Bool {
    prompt.prefill != nil && (label == "prefill_failed" || label == "unknown_handoff")
  }

  /// By a decoder that loses patience soon; then the same handoff again, without a fault.
  private mutating func pullOverRelay(_ prompt: Prompt, into target: [KVBlockID]) async throws {
    let (handoff, expected) = (prompt.handoff, prompt.expected)
    let relay = try FaultyRelay(to: handoff.port, .random(&dice))
    let hasty = try TestWorker(.tcp, engineID: "hasty", seed: 77) { configuration, _ in
      configuration.timeouts.stall = .milliseconds(100)
      configuration.timeouts.handshake = .milliseconds(100)
    }
    var faulty = handoff
    faulty.port = relay.port
    let outcome = await label { _ = try await hasty.transport.pull(faulty, into: target) }
    let bytes = hasty.bytes(of: target)
    hasty.transport.close()
    await relay.close()
    if outcome == nil, bytes != expected { throw Problem("wrong bytes came through a faulty wire") }
    var again: String?
    repeat {
      again = await label { _ = try await decoder.transport.pull(handoff, into: target) }
    } while again == "already_claimed"
    // Where the fault struck behind DONE, the blocks are the prefiller's again.
    guard again == nil || again == "unknown_handoff" || isGivenUp(prompt, again) else {
      throw Problem("the second try: \(again!)")
    }
    if again == nil, decoder.bytes(of: target) != expected { throw Problem("the second try has wrong bytes") }
  }
}

/// A prefiller that pushes over a wire with a fault, a decoder's buffer, and what is in it afterwards.
private struct PushSchedule {
  private var dice: SplitMix64
  private let prefiller: TestWorker
  private let receiver: PushReceiver
  private let pool: KVMemory
  private let released = EventLog()
  private var published = 0
  private static let blocks = 12

  init(seed: UInt64) throws {
    dice = SplitMix64(seed: seed)
    let transport: TransferConfiguration.Transports = Bool.random(using: &dice) ? .shm : .tcp
    prefiller = try TestWorker(transport, engineID: "prefiller")
    pool = try KVMemory(layout: testLayout, blockCount: 16)
    var configuration = TransferConfiguration()
    configuration.transports = transport
    let identity = KVIdentity(engineID: "decoder", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
    // What arrived behind its sender's back has no reader: it makes way soon.
    var limits = ReceiveLedger.Limits(blocks: Self.blocks)
    limits.unread = .milliseconds(20)
    receiver = try PushReceiver(
      pool: pool, identity: identity, limits: limits, configuration: configuration, logger: silentLogger)
  }

  mutating func run() async -> String? {
    let clean = pusher(port: receiver.port, stall: .seconds(30))
    defer {
      clean.close()
      receiver.close()
      prefiller.transport.close()
    }
    do {
      for round in 0..<4 {
        let relay = try FaultyRelay(to: receiver.port, .random(&dice))
        let faulty = pusher(port: relay.port, stall: .milliseconds(100))
        let count = Int.random(in: 1...5, using: &dice)
        _ = await push(key(round), count, over: faulty)
        faulty.close()
        await relay.close()
        if let problem = try await check(key(round), count) { return problem }
        // Another prompt of all the room there is: whatever the fault left behind makes way.
        if let error = await push(key(100 + round), Self.blocks, over: clean) { return "after the fault: \(error)" }
        if let problem = try await check(key(100 + round), Self.blocks) { return problem }
      }
      return await unreleased(released, of: published)
    } catch {
      return "\(error)"
    }
  }

  private func key(_ number: Int) -> PromptKey { PromptKey([Int32(number)], salt: nil) }

  private func pusher(port: Int, stall: Duration) -> Pusher {
    var configuration = TransferConfiguration()
    (configuration.timeouts.stall, configuration.timeouts.handshake) = (stall, stall)
    configuration.timeouts.pull = stall
    return Pusher(
      host: "127.0.0.1", port: port, identity: prefiller.identity, configuration: configuration, wait: stall)
  }

  /// As a worker does; what fails is withdrawn.
  private mutating func push(_ key: PromptKey, _ blocks: Int, over pusher: Pusher) async -> String? {
    var handoff: KVHandoff?
    let outcome = await label {
      let tokens = blocks * testLayout.blockSize
      guard case .granted(let grant) = try await pusher.reserve(key, tokens: tokens) else { return }
      published += 1
      handoff = try prefiller.publish(Array(0..<blocks), to: released)
      try await pusher.offer(handoff!, to: grant)
    }
    if outcome != nil, let handoff { prefiller.transport.withdraw(handoff.id) }
    return outcome
  }

  /// What is found is right; it is read, so that it makes way.
  private func check(_ key: PromptKey, _ blocks: Int) async throws -> String? {
    guard let handoff = receiver.claim(key) else { return nil }
    let target = blockIDs(0..<blocks)
    _ = try await receiver.pull(handoff, into: target)
    let found = target.map { Array(pool.bytes(of: $0)) }
    return found == prefiller.bytes(of: target) ? nil : "wrong bytes were found under a prompt's key"
  }
}
