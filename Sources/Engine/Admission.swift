import Synchronization

/// Counts the requests that were accepted and not yet admitted, and says when one is too many.
///
/// Any thread asks; a `Mutex` guards it.
package final class Admission: Sendable {
  private struct State {
    var waiting = 0
    var accepts = true
    /// Moving average of the time between two admissions while others waited.
    var interval: Duration = .zero
    var lastAdmission: ContinuousClock.Instant?
  }

  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// A request comes in; `left` or `admitted` must follow.
  func enter() throws(EngineError) {
    try state.withLock { state throws(EngineError) in
      guard state.accepts else { throw EngineError.shuttingDown }
      guard state.waiting < limit else {
        throw EngineError.queueFull(
          waiting: state.waiting, limit: limit,
          retryAfter: Self.retryHint(interval: state.interval, waiting: state.waiting))
      }
      state.waiting += 1
    }
  }

  /// A request got its first blocks.
  func admitted(at now: ContinuousClock.Instant) {
    state.withLock { state in
      state.waiting -= 1
      if let last = state.lastAdmission, state.waiting > 0 {
        state.interval = (state.interval * 3 + last.duration(to: now)) / 4
      }
      state.lastAdmission = now
    }
  }

  /// A request went away before that.
  func left() { state.withLock { $0.waiting -= 1 } }

  /// From now on every request is refused.
  func close() { state.withLock { $0.accepts = false } }

  /// Half the time that the queue needs to drain at its recent pace; whole seconds, 1 to 60.
  package static func retryHint(interval: Duration, waiting: Int) -> Duration {
    let half = interval * waiting / 2
    return .seconds(min(60, max(1, half.components.seconds)))
  }
}
