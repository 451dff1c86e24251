import Dispatch
import Synchronization

/// Open at first. While it is closed whoever wants to pass waits, without a thread.
final class AsyncGate: Sendable {
  private struct State {
    var isOpen = true
    var waiting: [CheckedContinuation<Void, Never>] = []
    var arrivals = 0
    var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }

  private let state = Mutex(State())

  func close() { state.withLock { $0.isOpen = false } }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func pass() async {
    let watchers = state.withLock { state in
      state.arrivals += 1
      let due = state.watchers.filter { $0.count <= state.arrivals }
      state.watchers.removeAll { $0.count <= state.arrivals }
      return due
    }
    for watcher in watchers { watcher.continuation.resume() }
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  /// Returns when `count` in all have come, whether they passed or wait.
  func arrived(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isDue = state.withLock { state in
        if state.arrivals < count { state.watchers.append((count, continuation)) }
        return state.arrivals >= count
      }
      if isDue { continuation.resume() }
    }
  }
}

/// Stops the engine's thread in a model's `forward`, until the test lets it go on.
final class StepGate: Sendable {
  private let stepsToGo = Mutex<Int?>(nil)
  private let reached = AsyncGate()
  private let go = DispatchSemaphore(value: 0)

  /// A step stops: the next, or one that comes `steps` later.
  func arm(after steps: Int = 0) { stepsToGo.withLock { $0 = steps } }

  /// For `FakeModel`: called on the engine's thread.
  func pass() {
    let stops = stepsToGo.withLock { steps in
      guard let left = steps else { return false }
      steps = left == 0 ? nil : left - 1
      return left == 0
    }
    guard stops else { return }
    Task { await reached.pass() }
    go.wait()
  }

  /// Returns when `count` steps in all have stopped.
  func stopped(_ count: Int = 1) async { await reached.arrived(count) }
  func resume() { go.signal() }
}

/// Stops a thread that is not the cooperative pool's, while it is closed.
final class ReadGate: Sendable {
  private let isClosed = Mutex(false)
  private let reached = AsyncGate()
  private let go = DispatchSemaphore(value: 0)

  func close() { isClosed.withLock { $0 = true } }

  /// Lets the one that waits go on, and all that come.
  func open() {
    isClosed.withLock { $0 = false }
    go.signal()
  }

  func pass() {
    guard isClosed.withLock({ $0 }) else { return }
    Task { await reached.pass() }
    go.wait()
  }

  /// Returns when `count` in all have waited.
  func arrived(_ count: Int) async { await reached.arrived(count) }
}
