import KVBlocks
import KVTransfer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct ReceiveLedgerTests {
  private let start = ContinuousClock.now

  private func key(_ number: Int) -> PromptKey { PromptKey([Int32(number)], salt: nil) }

  @Test func `A prompt larger than the buffer is refused at once, with the buffer's size`() {
    var ledger = ReceiveLedger(.init(blocks: 10))
    #expect(ledger.reserve(key(1), blocks: 11, now: start).answer == .neverFits(capacity: 10))
    #expect(ledger.reserve(key(1), blocks: 10, now: start).answer == .granted)
    #expect(ledger.freeBlocks == 0)
  }

  @Test func `Who comes first is served first, even if another would fit`() {
    var ledger = ReceiveLedger(.init(blocks: 10))
    let first = ledger.reserve(key(1), blocks: 8, now: start)
    let large = ledger.reserve(key(2), blocks: 5, now: start)
    let small = ledger.reserve(key(3), blocks: 1, now: start)
    #expect(first.answer == .granted && large.answer == .waiting && small.answer == .waiting)
    ledger.cancel(first.id, now: start)
    #expect(ledger.isGranted(large.id) && ledger.isGranted(small.id))
    #expect(ledger.freeBlocks == 4)
  }

  @Test func `A grant that nobody uses runs out, but not while somebody writes`() {
    var ledger = ReceiveLedger(.init(blocks: 10))
    let idle = ledger.reserve(key(1), blocks: 4, now: start).id
    let busy = ledger.reserve(key(2), blocks: 4, now: start).id
    #expect(ledger.fill(busy, now: start)?.count == 4)
    let waiting = ledger.reserve(key(3), blocks: 6, now: start)
    #expect(waiting.answer == .waiting)
    #expect(ledger.nextDeadline(after: start) == start + .seconds(120))
    ledger.advance(now: start + .seconds(120))
    #expect(!ledger.isGranted(idle) && ledger.isGranted(busy) && ledger.isGranted(waiting.id))
    #expect(ledger.fill(idle, now: start + .seconds(120)) == nil)
    ledger.cancel(busy, now: start + .seconds(120))
    #expect(ledger.freeBlocks == 0, "written blocks were given away")
    ledger.fail(busy, now: start + .seconds(121))
    #expect(ledger.freeBlocks == 4)
  }

  @Test func `What was read makes room, what nobody has read is kept for its time`() {
    var ledger = ReceiveLedger(.init(blocks: 10))
    for number in 1...2 {
      let id = ledger.reserve(key(number), blocks: 5, now: start).id
      _ = ledger.fill(id, now: start)
      ledger.store(id, as: key(number), tokens: 80, now: start)
    }
    let waiting = ledger.reserve(key(3), blocks: 5, now: start)
    #expect(waiting.answer == .waiting)
    let (reader, stored) = ledger.claim(key(2), now: start)!
    #expect(stored.tokens == 80 && stored.blocks.count == 5)
    ledger.finish(reader, hasRead: true, now: start)
    #expect(ledger.isGranted(waiting.id) && ledger.evicted == (read: 1, unread: 0))
    #expect(ledger.claim(key(2), now: start) == nil)

    let second = ledger.reserve(key(4), blocks: 5, now: start)
    #expect(second.answer == .waiting && ledger.nextDeadline(after: start) == start + .seconds(30))
    ledger.advance(now: start + .seconds(30))
    #expect(ledger.isGranted(second.id) && ledger.evicted == (read: 1, unread: 1))
  }

  @Test func `What is being read is not evicted, whatever its age`() {
    var ledger = ReceiveLedger(.init(blocks: 4))
    let id = ledger.reserve(key(1), blocks: 4, now: start).id
    _ = ledger.fill(id, now: start)
    ledger.store(id, as: key(1), tokens: 64, now: start)
    let (one, _) = ledger.claim(key(1), now: start)!
    let (two, _) = ledger.claim(key(1), now: start)!
    let waiting = ledger.reserve(key(2), blocks: 1, now: start)
    ledger.finish(one, hasRead: true, now: start + .seconds(3600))
    #expect(!ledger.isGranted(waiting.id))
    ledger.finish(two, hasRead: false, now: start + .seconds(3600))
    #expect(!ledger.isGranted(waiting.id), "a reader that gave up leaves it to the next")
    ledger.advance(now: start + .seconds(3630))
    #expect(ledger.isGranted(waiting.id))
  }

  @Test func `A prompt that is here already, or comes twice at once, takes room once`() {
    var ledger = ReceiveLedger(.init(blocks: 8))
    let ids = [ledger.reserve(key(1), blocks: 4, now: start).id, ledger.reserve(key(1), blocks: 4, now: start).id]
    for id in ids {
      _ = ledger.fill(id, now: start)
      ledger.store(id, as: key(1), tokens: 64, now: start)
    }
    #expect(ledger.freeBlocks == 4 && ledger.storedPrompts == 1)
    #expect(ledger.reserve(key(1), blocks: 4, now: start).answer == .known)
    #expect(ledger.freeBlocks == 4)
  }

  @Test func `Prompts with other tokens or another salt have other keys`() {
    let keys = [
      PromptKey([], salt: nil), PromptKey([], salt: ""), PromptKey([1], salt: nil), PromptKey([1, 2], salt: nil),
      PromptKey([2, 1], salt: nil), PromptKey([1, 2], salt: "a"), PromptKey([1, 2], salt: "b"),
    ]
    #expect(Set(keys).count == keys.count)
    #expect(PromptKey([1, 2], salt: "a") == PromptKey([1, 2], salt: "a"))
  }
}

/// 64 senders through a buffer of three requests' size, in random order, a million steps of a simulated clock: nobody
/// waits for ever, and no block has two owners.
@Suite(.timeLimit(.minutes(5))) struct ReceiveLedgerSimulation {
  @Test(arguments: [1, 2]) func `Every sender is served in the end`(seed: UInt64) {
    var simulation = SenderSimulation(seed: seed)
    for step in 0..<500_000 {
      simulation.step()
      if step % 1000 == 0 { #expect(simulation.problem == nil, "step \(step)") }
      if simulation.problem != nil { return }
    }
    #expect(simulation.stored > 1000 && simulation.read > 500 && simulation.vanished > 100)
    // Each of the 64 may hold the head of the queue up for a grant and an unread prompt's time at most.
    #expect(simulation.longestWait < .seconds(64 * 150))
  }
}

private struct SenderSimulation {
  enum Sender {
    case idle
    case waiting(ReceiveLedger.Reservation, since: ContinuousClock.Instant)
    case granted(ReceiveLedger.Reservation)
    case filling(ReceiveLedger.Reservation, [KVBlockID])
    case reading(ReceiveLedger.Reader, [KVBlockID])
  }

  static let blocksPerRequest = 8
  var ledger = ReceiveLedger(.init(blocks: 3 * blocksPerRequest))
  var senders = [Sender](repeating: .idle, count: 64)
  var dice: SplitMix64
  var now = ContinuousClock.now
  var (stored, read, vanished) = (0, 0, 0)
  var longestWait = Duration.zero
  var problem: String?
  /// The last step gave somebody blocks to write or to read.
  var writes = false
  /// Prompts' names run in a small circle, so that some come again.
  var prompts = [Int](repeating: 0, count: 64)

  init(seed: UInt64) { dice = SplitMix64(seed: seed) }

  mutating func step() {
    now += .milliseconds(Int.random(in: 0..<400, using: &dice))
    ledger.advance(now: now)
    move(Int.random(in: 0..<64, using: &dice))
    if writes { check() }
  }

  /// One sender, or the decoder that reads for it, does what it may do next, or goes away.
  private mutating func move(_ index: Int) {
    writes = false
    let leaves = Int.random(in: 0..<20, using: &dice) == 0
    let key = PromptKey([Int32(index % 48), Int32(prompts[index] % 5)], salt: nil)
    switch senders[index] {
    case .idle:
      prompts[index] += 1
      let size = Int.random(in: 1...Self.blocksPerRequest, using: &dice)
      let (id, answer) = ledger.reserve(key, blocks: size, now: now)
      if answer == .waiting || answer == .granted { senders[index] = .waiting(id, since: now) }
    case .waiting(let id, let since):
      if ledger.isGranted(id) {
        longestWait = max(longestWait, since.duration(to: now))
        senders[index] = .granted(id)
      } else if leaves, since.duration(to: now) > .seconds(5000) {
        problem = "a sender has waited for \(since.duration(to: now))"
      }
    case .granted(let id):
      // One that leaves without a word is found out by its deadline.
      if leaves {
        vanished += 1
        return senders[index] = .idle
      }
      if let blocks = ledger.fill(id, now: now) {
        senders[index] = .filling(id, blocks)
        writes = true
      } else {
        senders[index] = .idle
      }
    case .filling(let id, _):
      if leaves {
        ledger.fail(id, now: now)
        return senders[index] = .idle
      }
      ledger.store(id, as: key, tokens: 16, now: now)
      stored += 1
      if Bool.random(using: &dice), let (reader, found) = ledger.claim(key, now: now) {
        senders[index] = .reading(reader, found.blocks)
        writes = true
      } else {
        senders[index] = .idle
      }
    case .reading(let reader, _):
      ledger.finish(reader, hasRead: !leaves, now: now)
      read += 1
      senders[index] = .idle
    }
  }

  /// Blocks that are written have one owner, and nobody reads them.
  private mutating func check() {
    var writers: Set<KVBlockID> = []
    for case .filling(_, let blocks) in senders {
      for block in blocks where !writers.insert(block).inserted { problem = "block \(block) has two writers" }
    }
    for case .reading(_, let blocks) in senders where !writers.isDisjoint(with: blocks) {
      problem = "a block is read while it is written"
    }
  }
}
