import KVBlocks
import Logging

/// Owns the ledger, in a monitor: the serving threads claim and finish, one timer thread sleeps until the next lease ends.
final class PublishedHandoffs: Sendable {
  private struct State: Sendable {
    var ledger = HandoffLedger()
    var statistics = TransferStatistics()
    var isClosed = false
    var isTimerRunning = false
    var nextClaim: HandoffLease.ClaimID = 1
  }

  private let state = Monitor(State())
  private let now: @Sendable () -> ContinuousClock.Instant
  private let logger: Logger

  init(logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant) {
    self.logger = logger
    self.now = now
  }

  /// - Returns: False if there is no thread for the timer.
  func start() -> Bool {
    state.update { $0.isTimerRunning = true }
    let started = OwnThread.start("kv-leases") { [self] in runTimer() }
    if !started { state.update { $0.isTimerRunning = false } }
    return started
  }

  /// Releases what is left, and ends the timer. Nobody may be reading the blocks any more.
  func close() {
    let released = state.update { state in
      state.isClosed = true
      return state.ledger.removeAll()
    }
    finish(released)
    state.wait { $0.isTimerRunning ? .wait(until: nil) : .done(()) }
  }

  /// As publisher only.
  var statistics: TransferStatistics { state.withLock { $0.statistics } }

  func publish(_ entry: HandoffLedger.Entry, id: KVHandoff.ID) throws(KVTransferError) {
    let isOpen = state.update { state in
      guard !state.isClosed else { return false }
      state.ledger.publish(entry, id: id)
      state.statistics.published += 1
      return true
    }
    if !isOpen { throw .closed }
  }

  /// The prompt is computed, and the handoff's lease begins.
  func complete(_ id: KVHandoff.ID, lease: Duration) {
    state.update { $0.ledger.complete(id, until: now() + lease) }
  }

  /// The prompt will not be computed to its end. Nothing is released: the blocks were not the handoff's.
  func revoke(_ id: KVHandoff.ID) {
    state.withLock { state in
      if state.ledger.revoke(id) { state.statistics.withdrawn += 1 }
    }
  }

  /// The claim holds until `finish` or `lose`, one of which must follow a grant.
  func claim(_ id: KVHandoff.ID) -> (claim: HandoffLease.ClaimID, answer: HandoffLedger.ClaimAnswer) {
    let (claim, result) = state.withLock { state in
      let claim = state.nextClaim
      state.nextClaim += 1
      return (claim, state.ledger.claim(id, by: claim, now: now()))
    }
    finish(result.released)
    return (claim, result.answer)
  }

  /// - Returns: Whether the blocks were held to this moment.
  func finish(_ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID) -> Bool {
    guard let released = state.withLock({ $0.ledger.finish(id, claim) }) else { return false }
    finish([released])
    return true
  }

  /// As `finish`, of a claim that goes on.
  func holds(_ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID) -> Bool {
    state.withLock { $0.ledger.holds(id, claim) }
  }

  func lose(_ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID) {
    finish(state.withLock { $0.ledger.lose(id, claim, now: now()) }.map { [$0] } ?? [])
  }

  func withdraw(_ id: KVHandoff.ID) {
    finish(state.withLock { $0.ledger.withdraw(id) }.map { [$0] } ?? [])
  }

  /// What the timer does when a lease ends.
  func expire() { finish(state.withLock { $0.ledger.expire(now: now()) }) }

  private func runTimer() {
    while let released = nextExpired() { finish(released) }
    state.update { $0.isTimerRunning = false }
  }

  /// - Returns: nil when closed.
  private func nextExpired() -> [HandoffLedger.Released]? {
    state.wait { state in
      if state.isClosed { return .done(nil) }
      let released = state.ledger.expire(now: now())
      if !released.isEmpty { return .done(released) }
      return .wait(until: state.ledger.nextDeadline.map { .now + now().duration(to: $0) })
    }
  }

  /// Counts, logs and tells the owners; outside the lock, because they may publish again.
  private func finish(_ released: [HandoffLedger.Released]) {
    guard !released.isEmpty else { return }
    state.withLock { state in
      for one in released { state.statistics.count(one.ending) }
    }
    for one in released {
      if one.ending == .expired {
        logger.warning(
          "KV lease expired before the decoder pulled", metadata: ["request.id": "\(one.entry.requestID)"])
      }
      one.entry.onRelease()
    }
  }
}

extension TransferStatistics {
  fileprivate mutating func count(_ ending: HandoffLease.Ending) {
    switch ending {
    case .pulled: pulledByPeer += 1
    case .expired: expired += 1
    case .withdrawn: withdrawn += 1
    }
  }
}
