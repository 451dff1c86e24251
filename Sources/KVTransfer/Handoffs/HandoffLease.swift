/// The life of one published handoff: waiting for its decoder, being sent, done. While its prompt is computed it has no
/// deadline: its request has.
///
/// Blocks on the wire outlive their lease and their withdrawal: freeing them would send another request's KV.
package struct HandoffLease: Sendable {
  package typealias ClaimID = UInt64

  package enum State: Sendable, Equatable {
    case waiting
    /// `ending`: why the blocks are freed when this claim ends, if it ends without success.
    case sending(ClaimID, ending: Ending?)
    case done
  }

  /// Why the blocks may be reused.
  package enum Ending: Sendable, Equatable { case pulled, expired, withdrawn }

  package enum Action: Equatable { case none, free(Ending) }

  /// nil: the prompt is being computed.
  package private(set) var deadline: ContinuousClock.Instant?
  package private(set) var state = State.waiting
  /// Counts the claims, so that a frame of an earlier claim is told from one of this.
  package private(set) var generation: UInt32 = 0

  package init(deadline: ContinuousClock.Instant?) { self.deadline = deadline }

  /// The prompt is computed.
  package mutating func begin(until deadline: ContinuousClock.Instant) { self.deadline = deadline }

  /// Only in the life of the lease: the ledger ticks first.
  /// - Returns: False if another decoder has it.
  package mutating func claim(by claim: ClaimID) -> Bool {
    guard state == .waiting else { return false }
    state = .sending(claim, ending: nil)
    generation &+= 1
    return true
  }

  package func isHeld(by claim: ClaimID) -> Bool {
    guard case .sending(claim, _) = state else { return false }
    return true
  }

  /// The decoder has every byte.
  package mutating func finish(_ claim: ClaimID) -> Action {
    guard case .sending(claim, _) = state else { return .none }
    state = .done
    return .free(.pulled)
  }

  /// The decoder is gone, or failed: the blocks wait for another try while the lease runs.
  package mutating func lose(_ claim: ClaimID, now: ContinuousClock.Instant) -> Action {
    guard case .sending(claim, let ending) = state else { return .none }
    if let ending { return free(ending) }
    state = .waiting
    return tick(now: now)
  }

  package mutating func tick(now: ContinuousClock.Instant) -> Action {
    guard let deadline, now >= deadline else { return .none }
    return end(.expired)
  }

  package mutating func withdraw() -> Action { end(.withdrawn) }

  private mutating func end(_ ending: Ending) -> Action {
    switch state {
    case .waiting: return free(ending)
    case .sending(let claim, nil):
      state = .sending(claim, ending: ending)
      return .none
    case .sending, .done: return .none
    }
  }

  private mutating func free(_ ending: Ending) -> Action {
    state = .done
    return .free(ending)
  }
}
