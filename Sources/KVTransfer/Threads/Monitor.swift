import Glibc

/// A mutex with a condition: state that threads wait on. (`Synchronization.Mutex` has no wait.)
final class Monitor<State: Sendable>: @unchecked Sendable {
  // SAFETY: `state` is touched only while `mutex` is held; both pthread objects live at a fixed address until deinit.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state: State

  /// What a waiter does next.
  enum Step<Value> {
    case done(Value)
    /// Look again when the state changes, at the latest then (nil: whenever it changes).
    case wait(until: ContinuousClock.Instant?)
  }

  init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Reads the state, or changes it in a way that no waiter waits for.
  func withLock<Value>(_ body: (inout State) -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&state)
  }

  /// Changes the state, and wakes the waiters to look at it.
  func update<Value>(_ body: (inout State) -> Value) -> Value {
    defer { pthread_cond_broadcast(condition) }
    return withLock(body)
  }

  /// Blocks the calling thread until `look` is done.
  func wait<Value>(_ look: (inout State) -> Step<Value>) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      switch look(&state) {
      case .done(let value): return value
      case .wait(nil): pthread_cond_wait(condition, mutex)
      case .wait(let deadline?):
        var time = Self.monotonicTime(of: deadline)
        pthread_cond_timedwait(condition, mutex, &time)
      }
    }
  }

  private static func monotonicTime(of deadline: ContinuousClock.Instant) -> timespec {
    let left = max(.zero, ContinuousClock.now.duration(to: deadline)).components
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    // A day ahead is as good as never, and cannot overflow.
    let nanoseconds = time.tv_nsec + Int(left.attoseconds / 1_000_000_000)
    time.tv_sec += min(Int(left.seconds), 86_400) + nanoseconds / 1_000_000_000
    time.tv_nsec = nanoseconds % 1_000_000_000
    return time
  }
}
