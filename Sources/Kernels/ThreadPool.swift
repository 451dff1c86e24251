import CKernels
import Glibc
import Synchronization

/// A few threads for fork-join regions of microseconds.
///
/// Between regions a worker spins for a while (`BoundedSpin`), then sleeps on a futex: an idle pool uses no CPU. A region ends when
/// its tasks are done, not when all workers have come: one that the system does not schedule holds up nobody.
package final class ThreadPool: Sendable {
  /// Threads that run a region's tasks: as many as were asked for, or fewer if the system has no more to give.
  package let threadCount: Int
  private let shared: Shared
  private let workers: [Worker]

  /// - Parameters:
  ///   - threads: How many run a region's tasks, the caller of `run` included.
  package convenience init(threads: Int) { self.init(startingUpTo: threads) }

  /// - Parameter cpus: Worker i (1…) is pinned to `cpus[i % cpus.count]`; `cpus[0]` is left for the caller. If it is empty,
  ///   threads run where the system puts them.
  /// - Throws: If a worker may not run on its core.
  package convenience init(threads: Int, cpus: [Int]) throws(PinningError) {
    self.init(startingUpTo: threads)
    guard !cpus.isEmpty else { return }
    for (index, worker) in workers.enumerated() { try worker.pin(to: cpus[(index + 1) % cpus.count]) }
  }

  private init(startingUpTo threads: Int) {
    precondition(threads > 0)
    let shared = Shared()
    self.shared = shared
    var workers: [Worker] = []
    while workers.count < threads - 1, let worker = Worker(shared: shared) { workers.append(worker) }
    self.workers = workers
    threadCount = workers.count + 1
  }

  deinit {
    shared.stop()
    for worker in workers { worker.join() }
  }

  /// Calls `body` once for each of 0..<tasks, on the pool's threads and the caller's, in no particular order; returns
  /// when all have returned. A region within a region, or beside another thread's, runs on its caller alone.
  package func run(tasks: Int, _ body: (Int) -> Void) {
    guard tasks > 1, threadCount > 1, shared.enter() else {
      for task in 0..<tasks { body(task) }
      return
    }
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: body) { shared.runRegion(tasks: tasks, body: $0) }
    }
    shared.leave()
  }
}

private typealias TaskBody = (Int) -> Void

/// What the caller and the workers share.
///
/// `ticket` holds the region's number in its upper half and its unclaimed tasks in the lower. A task is claimed by
/// lowering it, which fails if the region has changed meanwhile; so the other fields, read before, were this region's.
private final class Shared: Sendable {
  private let busy = Atomic(false)
  private let ticket = Atomic<UInt64>(0)
  private let tasks = Atomic<Int>(0)
  private let body = Atomic<UInt>(0)
  private let unfinished = FutexWord()
  private let region = FutexWord()
  private let stopped = Atomic(false)

  func enter() -> Bool { !busy.exchange(true, ordering: .acquiring) }
  func leave() { busy.store(false, ordering: .releasing) }

  /// Only between `enter` and `leave`.
  func runRegion(tasks count: Int, body pointer: UnsafePointer<TaskBody>) {
    precondition(count <= UInt32.max)
    tasks.store(count, ordering: .relaxed)
    body.store(UInt(bitPattern: pointer), ordering: .relaxed)
    unfinished.set(UInt32(count))
    let number = region.value &+ 1
    ticket.store(UInt64(number) << 32 | UInt64(count), ordering: .releasing)
    region.set(number)
    region.wake(atMost: count - 1)
    runTasks(of: number)
    waitForLastTask()
  }

  func stop() {
    stopped.store(true, ordering: .sequentiallyConsistent)
    region.set(region.value &+ 1)
    region.wake(atMost: .max)
  }

  /// A worker's life.
  func work() {
    var seen: UInt32 = 0
    while let number = waitForRegion(after: seen) {
      runTasks(of: number)
      seen = number
    }
  }

  private func runTasks(of number: UInt32) {
    var current = ticket.load(ordering: .acquiring)
    while UInt32(current >> 32) == number, UInt32(truncatingIfNeeded: current) > 0 {
      let task = tasks.load(ordering: .relaxed) - Int(UInt32(truncatingIfNeeded: current))
      let pointer = UnsafePointer<TaskBody>(bitPattern: body.load(ordering: .relaxed))
      let (claimed, now) = ticket.compareExchange(
        expected: current, desired: current - 1, ordering: .acquiringAndReleasing)
      current = claimed ? current - 1 : now
      guard claimed, let pointer else { continue }
      pointer.pointee(task)
      if unfinished.subtractOne() == 0 { unfinished.wake(atMost: 1) }
    }
  }

  private func waitForLastTask() {
    var spin = BoundedSpin()
    while case let left = unfinished.value, left > 0 {
      if spin.isOver { unfinished.sleep(while: left) } else { spin.turn() }
    }
  }

  /// - Returns: The number of a region other than `seen`; nil when the pool ends.
  private func waitForRegion(after seen: UInt32) -> UInt32? {
    var spin = BoundedSpin()
    while true {
      let number = region.value
      if stopped.load(ordering: .acquiring) { return nil }
      if number != seen { return number }
      guard spin.isOver else {
        spin.turn()
        continue
      }
      region.sleep(while: seen)
      spin = BoundedSpin()
    }
  }
}

/// A thread of the pool.
private final class Worker: Sendable {
  private let thread: pthread_t

  /// - Returns: nil if the system has no thread to give.
  init?(shared: Shared) {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(shared)
    let code = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Shared>.fromOpaque(argument!).takeRetainedValue().work()
        return nil
      }, argument.toOpaque())
    guard code == 0 else {
      argument.release()
      return nil
    }
    self.thread = thread
  }

  func pin(to cpu: Int) throws(PinningError) {
    let code = xk_pin(thread, Int32(clamping: cpu))
    if code != 0 { throw PinningError(cpu: cpu, code: code) }
  }

  func join() { pthread_join(thread, nil) }
}

/// A core that was asked for, and that the system does not give.
package struct PinningError: Error, Equatable, CustomStringConvertible {
  package let cpu: Int
  /// As `errno`.
  package let code: Int32

  package var description: String {
    "Cannot run on CPU \(cpu): \(String(cString: strerror(code))). Name CPUs that `taskset -cp $$` lists (--cpus)."
  }
}
