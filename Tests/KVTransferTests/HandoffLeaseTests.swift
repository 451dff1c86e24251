import KVBlocks
import KVTransfer
import Testing

private let start = ContinuousClock.now
private let lease = Duration.seconds(30)

@Suite struct HandoffLeaseTests {
  private func waiting() -> HandoffLease { HandoffLease(deadline: start + lease) }

  private func sending() -> HandoffLease {
    var handoff = waiting()
    _ = handoff.claim(by: 7)
    return handoff
  }

  @Test func `A waiting handoff is freed when its lease ends, and once`() {
    var handoff = waiting()
    #expect(handoff.tick(now: start + lease - .nanoseconds(1)) == .none)
    #expect(handoff.tick(now: start + lease) == .free(.expired))
    #expect(handoff.tick(now: start + lease) == .none)
    #expect(handoff.withdraw() == .none)
  }

  @Test func `Blocks on the wire outlive their lease`() {
    var handoff = sending()
    #expect(handoff.tick(now: start + lease) == .none)
    #expect(handoff.finish(7) == .free(.pulled))
  }

  @Test func `Blocks on the wire outlive their withdrawal`() {
    var handoff = sending()
    #expect(handoff.withdraw() == .none)
    #expect(handoff.lose(7, now: start) == .free(.withdrawn))
  }

  @Test func `A lost claim waits again while the lease runs, and is freed when it has run out`() {
    var early = sending()
    #expect(early.lose(7, now: start) == .none)
    let isGranted = early.claim(by: 8)
    #expect(isGranted)
    #expect(early.generation == 2)
    var late = sending()
    #expect(late.lose(7, now: start + lease) == .free(.expired))
  }

  @Test func `A second claim is refused, and a stale one changes nothing`() {
    var handoff = sending()
    let isGranted = handoff.claim(by: 8)
    #expect(!isGranted)
    #expect(handoff.finish(8) == .none)
    #expect(handoff.lose(8, now: start) == .none)
    #expect(handoff.finish(7) == .free(.pulled))
    #expect(handoff.lose(7, now: start) == .none)
  }
}

@Suite struct HandoffLedgerTests {
  private func entry(_ seconds: Int) -> HandoffLedger.Entry {
    HandoffLedger.Entry(
      blocks: [], tokens: seconds, requestID: "", lease: HandoffLease(deadline: start + .seconds(seconds)),
      onRelease: {})
  }

  @Test func `Every lease that has run out ends, whatever the order they were published in`() {
    var ledger = HandoffLedger()
    let leases = [30, 5, 90, 60, 5, 45, 10, 120, 1]
    for (index, seconds) in leases.enumerated() { ledger.publish(entry(seconds), id: KVHandoff.ID("\(index)")) }
    #expect(ledger.nextDeadline == start + .seconds(1))
    var ended: [Int] = []
    for second in 0...120 {
      let released = ledger.expire(now: start + .seconds(second))
      #expect(released.allSatisfy { $0.entry.tokens == second && $0.ending == .expired })
      ended += released.map(\.entry.tokens)
    }
    #expect(ended == leases.sorted())
    #expect(ledger.count == 0 && ledger.nextDeadline == nil)
  }

  @Test func `A late claim learns that the lease ran out, a wild one that nobody knows it`() {
    var ledger = HandoffLedger()
    ledger.publish(entry(5), id: KVHandoff.ID("a"))
    let (answer, released) = ledger.claim(KVHandoff.ID("a"), by: 1, now: start + .seconds(5))
    guard case .expired = answer else { return #expect(Bool(false), "\(answer)") }
    #expect(released.map(\.ending) == [.expired])
    guard case .unknown = ledger.claim(KVHandoff.ID("b"), by: 1, now: start).answer else {
      return #expect(Bool(false), "granted what was never published")
    }
  }
}
