import Synchronization

/// Events on their way from the event loop to the one task that takes them. Unlike an `AsyncStream` it delivers to a
/// task that was cancelled: a run that is stopped still has records to tell. A `Mutex` guards it, never held across
/// `await`.
///
/// Nothing waits for the taker: events are small, and taken faster than a network brings them.
final class EventMailbox: Sendable {
  private struct State {
    var events: [RunEvent] = []
    var taker: CheckedContinuation<[RunEvent], Never>?
  }

  private let state = Mutex(State())

  func put(_ event: RunEvent) {
    let taker = state.withLock { state -> CheckedContinuation<[RunEvent], Never>? in
      guard let taker = state.taker else {
        state.events.append(event)
        return nil
      }
      state.taker = nil
      return taker
    }
    taker?.resume(returning: [event])
  }

  /// All that has come and was not taken, at least one event. One task at a time.
  func take() async -> [RunEvent] {
    await withCheckedContinuation { continuation in
      let events = state.withLock { state in
        let events = state.events
        state.events = []
        if events.isEmpty { state.taker = continuation }
        return events
      }
      if !events.isEmpty { continuation.resume(returning: events) }
    }
  }
}
