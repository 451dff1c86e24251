import NIOCore

/// What the proxy believes of one worker, from the legs that ran on it and from `/health`. Time is handed in.
package struct WorkerHealth: Sendable, Equatable {
  /// How a worker failed decides how long it is left alone, and what brings it back.
  package enum Fault: Sendable, Equatable {
    /// It refused or cut the connection. A passed check brings it back at once.
    case unreachable
    /// It answered 5xx or broke off. Only time does: `/health` says nothing about this.
    case failing
    /// A leg ran into its deadline. Only time does, and more of it: the next one to try waits as long.
    case stalled
    /// `/health` went unanswered or said no several times. Only a passed check does.
    case unhealthy
  }

  private enum State: Equatable {
    case up
    /// Left alone until `until`; then one success makes it up, one fault doubles the time.
    case down(Fault, until: NIODeadline, times: Int)
  }

  private var state = State.up
  private var failedChecks = 0
  /// Whether it ever answered.
  package private(set) var isConfirmed = false

  package init() {}

  package var fault: Fault? {
    guard case .down(let fault, _, _) = state else { return nil }
    return fault
  }

  package func isEligible(now: NIODeadline) -> Bool {
    guard case .down(_, let until, _) = state else { return true }
    return now >= until
  }

  package mutating func legAnswered() {
    isConfirmed = true
    failedChecks = 0
    if fault != .unhealthy { state = .up }
  }

  package mutating func legFailed(_ fault: Fault, now: NIODeadline) {
    if self.fault == .unhealthy { return }
    var times = 0
    if case .down(_, let until, let before) = state {
      // Legs that started before it went down tell nothing new.
      guard now >= until else { return }
      times = before + 1
    }
    state = .down(fault, until: now + Self.pause(fault, times: times), times: times)
  }

  package mutating func checkPassed() {
    isConfirmed = true
    failedChecks = 0
    if fault == .unreachable || fault == .unhealthy { state = .up }
  }

  /// A check that was refused is a fault at once; one that went unanswered or said no counts towards `limit`.
  package mutating func checkFailed(refused: Bool, limit: Int, now: NIODeadline) {
    if refused {
      isConfirmed = false
      return legFailed(.unreachable, now: now)
    }
    failedChecks += 1
    guard failedChecks >= limit else { return }
    isConfirmed = false
    state = .down(.unhealthy, until: .distantFuture, times: 0)
  }

  private static func pause(_ fault: Fault, times: Int) -> TimeAmount {
    let doublings = Int64(1) << Int64(min(times, 6))
    return switch fault {
    case .unreachable, .failing: .milliseconds(min(100 * doublings, 5_000))
    case .stalled, .unhealthy: .milliseconds(min(2_000 * doublings, 60_000))
    }
  }
}
