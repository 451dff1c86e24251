import Synchronization

/// Things that happened, and a way to wait until enough of them have.
package final class Log<Entry: Sendable>: Sendable {
  private struct Waiter: Sendable {
    let id: Int
    let count: Int
    let continuation: CheckedContinuation<Void, Never>
  }

  private struct State: Sendable {
    var entries: [Entry] = []
    var waiters: [Waiter] = []
    var nextID = 0

    mutating func takeWaiters(where isDone: (Waiter) -> Bool) -> [Waiter] {
      defer { waiters.removeAll(where: isDone) }
      return waiters.filter(isDone)
    }
  }

  private let state = Mutex(State())

  package init() {}

  package var entries: [Entry] { state.withLock { $0.entries } }

  package func add(_ entry: Entry) {
    let ready = state.withLock { state in
      state.entries.append(entry)
      let count = state.entries.count
      return state.takeWaiters { $0.count <= count }
    }
    for waiter in ready { waiter.continuation.resume() }
  }

  /// Waits for the `count`th entry, a minute at most: what the test expects of it then fails, and nothing hangs.
  package func wait(for count: Int) async {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    let timeout = Task {
      try await Task.sleep(for: .seconds(60))
      for waiter in state.withLock({ $0.takeWaiters { $0.id == id } }) { waiter.continuation.resume() }
    }
    defer { timeout.cancel() }
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.entries.count < count {
          state.waiters.append(Waiter(id: id, count: count, continuation: continuation))
        }
        return state.entries.count >= count
      }
      if isThere { continuation.resume() }
    }
  }
}
