import Synchronization

/// Things that happened, and a way to wait until enough of them have.
package final class Log<Entry: Sendable>: Sendable {
  private let state = Mutex(
    (entries: [Entry](), waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)]()))

  package init() {}

  package var entries: [Entry] { state.withLock { $0.entries } }

  package func add(_ entry: Entry) {
    let ready = state.withLock { state in
      state.entries.append(entry)
      let ready = state.waiters.filter { $0.count <= state.entries.count }
      state.waiters.removeAll { $0.count <= state.entries.count }
      return ready
    }
    for waiter in ready { waiter.continuation.resume() }
  }

  /// Waits for the `count`th entry; a test's time limit bounds it.
  package func wait(for count: Int) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.entries.count < count { state.waiters.append((count, continuation)) }
        return state.entries.count >= count
      }
      if isThere { continuation.resume() }
    }
  }
}
