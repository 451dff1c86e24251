import NIOCore

/// What the proxy believes of one worker, from the legs that ran on it and from `/health`. Time is handed in.
///
///     up ──▶ down ──▶ probing ──▶ warming ──▶ up
///             ▲ fault    │           │
///             └──────────┴───────────┘
package struct WorkerHealth: Sendable, Equatable {
  /// How a worker failed decides how long it is left alone, and what brings it back.
  package enum Fault: Sendable, Equatable {
    /// It refused the connection. A passed check brings it back at once.
    case unreachable
    /// It answered 5xx or broke off, several times in a row. Only time does: `/health` says nothing about this.
    case failing
    /// A leg ran into its deadline. Only time does, and more of it: the next one to try waits as long.
    case stalled
    /// `/health` went unanswered or said no several times. Only a passed check does.
    case unhealthy
    /// `/health` answered 503: it takes no new legs and goes on with those that it has. Only a passed check does.
    case draining
    /// It was added while the proxy runs and has not passed a check yet. Only a passed check brings it in.
    case joining
    /// Decoders failed with its handoffs, several times in a row, and did well without them. Only time does.
    case transfer
  }

  package enum Check: Sendable, Equatable {
    case passed
    /// Nobody listens.
    case refused
    /// 503
    case draining
    /// Went unanswered, or said no in another way.
    case failed
  }

  /// Tells the legs apart that began before the worker's last fault, and so say nothing of it now.
  package typealias Epoch = Int

  private enum State: Equatable {
    case up
    /// Left alone until `until`; then one leg may try.
    case down(Fault, until: NIODeadline, times: Int)
    /// That leg runs. One answer makes it warm, one fault doubles the time.
    case probing(Fault, times: Int)
    /// It answers again, and gets as many legs at once as are `allowed`: twice as many after each answer.
    case warming(running: Int, allowed: Int, times: Int)
  }

  /// Legs at once from which on a worker that came back is as good as any.
  private static let warmLegs = 32
  private let ejectAfter: Int
  private var state = State.up
  private var epoch: Epoch = 0
  private var failuresInARow = 0
  private var transferFailuresInARow = 0
  private var failedChecks = 0
  /// Whether it ever answered.
  package private(set) var isConfirmed = false

  /// - Parameter ejectAfter: Faults of the kinds `failing` and `transfer` in a row that take it out.
  package init(ejectAfter: Int = 3) { self.ejectAfter = max(1, ejectAfter) }

  /// Of a worker that may not listen yet.
  package static func joining(ejectAfter: Int) -> WorkerHealth {
    var health = WorkerHealth(ejectAfter: ejectAfter)
    health.state = .down(.joining, until: .distantFuture, times: 0)
    return health
  }

  package var fault: Fault? {
    switch state {
    case .down(let fault, _, _), .probing(let fault, _): fault
    case .up, .warming: nil
    }
  }

  package func isEligible(now: NIODeadline) -> Bool {
    switch state {
    case .up: true
    case .down(_, let until, _): now >= until
    case .probing: false
    case .warming(let running, let allowed, _): running < allowed
    }
  }

  // MARK: Legs

  /// - Returns: To be handed in with what becomes of the leg.
  package mutating func legStarted(now: NIODeadline) -> Epoch {
    switch state {
    case .down(let fault, let until, let times) where now >= until && fault.endsWithTime:
      epoch += 1
      state = .probing(fault, times: times)
    case .warming(let running, let allowed, let times):
      state = .warming(running: running + 1, allowed: allowed, times: times)
    case .up, .down, .probing: break
    }
    return epoch
  }

  /// However it ended.
  package mutating func legFinished(_ leg: Epoch, now: NIODeadline) {
    guard leg == epoch else { return }
    switch state {
    case .probing(let fault, let times): state = .down(fault, until: now, times: times)
    case .warming(let running, let allowed, let times):
      state = .warming(running: max(0, running - 1), allowed: allowed, times: times)
    case .up, .down: break
    }
  }

  package mutating func legAnswered(_ leg: Epoch) {
    isConfirmed = true
    guard leg == epoch else { return }
    failedChecks = 0
    failuresInARow = 0
    switch state {
    case .probing(_, let times): state = .warming(running: 1, allowed: 2, times: times)
    case .warming(let running, let allowed, let times):
      state = allowed * 2 > Self.warmLegs ? .up : .warming(running: running, allowed: allowed * 2, times: times)
    case .up, .down: break
    }
  }

  package mutating func legFailed(_ fault: Fault, _ leg: Epoch, now: NIODeadline) {
    // Legs that began before it went down tell nothing new.
    guard leg == epoch else { return }
    if fault == .failing, case .up = state {
      failuresInARow += 1
      guard failuresInARow >= ejectAfter else { return }
    }
    takeOut(fault, now: now)
  }

  // MARK: Handoffs

  /// A decoder failed with this prefiller's handoff, and did well without it.
  package mutating func transferFailed(now: NIODeadline) {
    transferFailuresInARow += 1
    if transferFailuresInARow >= ejectAfter { takeOut(.transfer, now: now) }
  }

  package mutating func transferSucceeded() { transferFailuresInARow = 0 }

  // MARK: Checks

  /// - Parameter limit: Checks in a row that must fail before the worker is unhealthy.
  package mutating func checked(_ check: Check, limit: Int, now: NIODeadline) {
    failedChecks = check == .failed ? failedChecks + 1 : 0
    switch check {
    case .passed:
      isConfirmed = true
      guard case .down(let fault, _, let times) = state, !fault.onlyEndsWithTime else { return }
      epoch += 1
      state = .warming(running: 0, allowed: 2, times: times)
    case .refused:
      isConfirmed = false
      takeOut(.unreachable, now: now)
    case .draining: stay(.draining)
    case .failed where failedChecks >= limit:
      isConfirmed = false
      stay(.unhealthy)
    case .failed: break
    }
  }

  private mutating func takeOut(_ fault: Fault, now: NIODeadline) {
    var times = 0
    switch state {
    case .up: break
    case .down(_, let until, let before):
      guard now >= until else { return }
      times = before + 1
    case .probing(_, let before), .warming(_, _, let before): times = before + 1
    }
    leave(.down(fault, until: now + Self.pause(fault, times: times), times: times))
  }

  private mutating func stay(_ fault: Fault) {
    if self.fault != fault { leave(.down(fault, until: .distantFuture, times: 0)) }
  }

  private mutating func leave(_ down: State) {
    state = down
    epoch += 1
    failuresInARow = 0
    transferFailuresInARow = 0
  }

  private static func pause(_ fault: Fault, times: Int) -> TimeAmount {
    let doublings = Int64(1) << Int64(min(times, 6))
    return switch fault {
    case .unreachable, .failing: .milliseconds(min(100 * doublings, 5_000))
    case .stalled, .transfer, .unhealthy, .draining, .joining: .milliseconds(min(2_000 * doublings, 60_000))
    }
  }
}

extension WorkerHealth.Fault {
  /// A leg may find out whether it is over.
  fileprivate var endsWithTime: Bool { self != .unhealthy && self != .draining && self != .joining }
  /// `/health` says nothing about it.
  fileprivate var onlyEndsWithTime: Bool { self == .failing || self == .stalled || self == .transfer }
}
