import CLinux
import Synchronization

/// A word that threads sleep on until it changes.
final class FutexWord: Sendable {
  // SAFETY: allocated from init to deinit, and an atomic.
  private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt32>>
  private let sleepers = Atomic<Int>(0)

  init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic(0))
  }

  deinit {
    word.deinitialize(count: 1)
    word.deallocate()
  }

  var value: UInt32 { word.pointee.load(ordering: .acquiring) }

  /// Visible to every sleeper that `wake` finds, and to every thread that comes to sleep after.
  func set(_ value: UInt32) { word.pointee.store(value, ordering: .sequentiallyConsistent) }

  /// - Returns: The new value.
  func subtractOne() -> UInt32 { word.pointee.subtract(1, ordering: .sequentiallyConsistent).newValue }

  /// Sleeps while the value is `expected`; may return early.
  func sleep(while expected: UInt32) {
    sleepers.add(1, ordering: .sequentiallyConsistent)
    _ = xs_futex_wait(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), expected, -1)
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
  }

  /// A system call only if someone sleeps.
  func wake(atMost count: Int) {
    guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
    _ = xs_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), Int32(clamping: count))
  }
}
