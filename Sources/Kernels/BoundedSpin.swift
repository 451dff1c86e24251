import CKernels
import Glibc

/// The time for which a waiting thread keeps its core before it sleeps: waking it costs 30–45 µs.
///
/// First it only pauses; then it also lets others run, so that a pool with more threads than free cores does not keep
/// its own tasks from running.
struct BoundedSpin {
  private static let spinNanoseconds = 150_000
  private static let pauseOnlyNanoseconds = 20_000
  private static let pausesPerTurn = 4

  private let start = Self.now
  private(set) var isOver = false

  /// Spins for a few tens of nanoseconds.
  mutating func turn() {
    for _ in 0..<Self.pausesPerTurn { xk_pause() }
    let elapsed = Self.now - start
    isOver = elapsed > Self.spinNanoseconds
    if elapsed > Self.pauseOnlyNanoseconds { sched_yield() }
  }

  private static var now: Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}
