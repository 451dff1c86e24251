import Kernels
import Synchronization
import Testing

struct ThreadPoolTests {
  @Test(arguments: [1, 2, 3, 8]) func `Every task runs once, in each of many regions`(threads: Int) {
    let pool = ThreadPool(threads: threads)
    let runs = UnsafeMutablePointer<Int>.allocate(capacity: 40)
    defer { runs.deallocate() }
    runs.initialize(repeating: 0, count: 40)
    var expected = [Int](repeating: 0, count: 40)
    for region in 0..<2_500 {
      let tasks = region % 41
      pool.run(tasks: tasks) { runs[$0] += 1 }
      for task in 0..<tasks { expected[task] += 1 }
    }
    #expect((0..<40).map { runs[$0] } == expected)
  }

  @Test func `A region within a region runs on its caller`() {
    let pool = ThreadPool(threads: 2)
    let count = Atomic(0)
    pool.run(tasks: 4) { _ in
      pool.run(tasks: 5) { _ in count.add(1, ordering: .relaxed) }
    }
    #expect(count.load(ordering: .relaxed) == 20)
  }

  @Test func `Workers that sleep are woken`() {
    let pool = ThreadPool(threads: 2)
    for _ in 0..<20 {
      let started = Atomic(0)
      // Each task waits for the other: they end only if two threads run them.
      pool.run(tasks: 2) { _ in
        started.add(1, ordering: .sequentiallyConsistent)
        while started.load(ordering: .sequentiallyConsistent) < 2 {}
      }
      let clock = ContinuousClock(), end = clock.now + .microseconds(400)
      while clock.now < end {}
    }
  }

  @Test func `A pool ends while its workers sleep or spin`() {
    for _ in 0..<50 { ThreadPool(threads: 4).run(tasks: 8) { _ in } }
  }

  @Test(arguments: [-1, 1023, 1024, Int.max]) func `A core that is not there is an error that names it`(cpu: Int) throws
  {
    let error = #expect(throws: PinningError.self) { try ThreadPool(threads: 3, cpus: [0, cpu]) }
    #expect(error?.cpu == cpu && error?.description.contains("--cpus") == true)
  }
}
