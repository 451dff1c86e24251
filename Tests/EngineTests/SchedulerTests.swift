import Engine
import KVBlocks
import KVTransfer
import Testing

/// The scheduler alone: a value, driven by hand.
@Suite struct SchedulerTests {
  private func scheduler(sequences: Int = 8, budget: Int = 16, blocks: Int = 32) -> Scheduler {
    Scheduler(
      maxSequences: sequences, maxBatchedTokens: budget, pool: KVBlockPool(blockCount: blocks, blockSize: 4))
  }

  private func sequence(_ number: UInt64, tokens: Int, pull: Bool = false) -> SequenceState {
    SequenceState(
      number: number, promptTokens: (0..<tokens).map { Int32(number) * 100 + Int32($0) },
      pull: pull
        ? KVHandoff(id: .init("h\(number)"), engineID: "e", host: "h", port: 1, blocks: [], tokens: tokens) : nil)
  }

  /// One step as the loop does it; every row that samples gets token −number.
  @discardableResult
  private func step(_ scheduler: inout Scheduler) -> StepPlan {
    let plan = scheduler.schedule()
    scheduler.completed(plan)
    for entry in plan.entries where entry.samples {
      scheduler.append(-Int32(scheduler.running[entry.index].number), toRunning: entry.index)
    }
    return plan
  }

  /// Number → positions that the plan computes.
  private func work(_ plan: StepPlan, _ scheduler: Scheduler) -> [UInt64: Range<Int>] {
    Dictionary(uniqueKeysWithValues: plan.entries.map { (scheduler.running[$0.index].number, $0.positions) })
  }

  @Test func `A prompt is cut into chunks, and only the last one samples`() {
    var scheduler = scheduler(budget: 8)
    scheduler.add(sequence(1, tokens: 20))
    let plans = (0..<4).map { _ in step(&scheduler) }
    #expect(plans.map { $0.entries.map(\.positions) } == [[0..<8], [8..<16], [16..<20], [20..<21]])
    #expect(plans.map { $0.entries.map(\.samples) } == [[false], [false], [true], [true]])
  }

  @Test func `Every decode goes before a chunk of prefill that came earlier`() {
    var scheduler = scheduler(sequences: 4, budget: 8)
    scheduler.add(sequence(2, tokens: 3))
    step(&scheduler)
    scheduler.add(sequence(1, tokens: 40))
    let plan = step(&scheduler)
    #expect(work(plan, scheduler) == [2: 3..<4, 1: 0..<7])
  }

  @Test func `Requests are admitted in the order of arrival, and none overtakes`() {
    var scheduler = scheduler(budget: 64, blocks: 6)
    scheduler.add(sequence(1, tokens: 12))
    scheduler.add(sequence(2, tokens: 16))
    scheduler.add(sequence(3, tokens: 1))
    #expect(scheduler.schedule().admitted == [1])
    #expect(scheduler.waiting.map(\.number) == [2, 3])
  }

  @Test func `No more sequences run than allowed`() {
    var scheduler = scheduler(sequences: 2, budget: 64)
    for number in 1...3 { scheduler.add(sequence(UInt64(number), tokens: 2)) }
    #expect(step(&scheduler).entries.count == 2)
    _ = scheduler.finish(1)
    #expect(Set(work(step(&scheduler), scheduler).keys) == [2, 3])
  }

  @Test func `A budget below the number of sequences is raised to it`() {
    #expect(scheduler(sequences: 8, budget: 1).maxBatchedTokens == 8)
  }

  @Test func `The youngest is preempted, keeps its output, and returns to its place`() {
    var scheduler = scheduler(blocks: 4)
    scheduler.add(sequence(1, tokens: 7))
    scheduler.add(sequence(2, tokens: 7))
    scheduler.add(sequence(3, tokens: 7))
    step(&scheduler)
    // 8 tokens each, and 2 blocks each: the next step needs a third block for each.
    step(&scheduler)
    let plan = step(&scheduler)
    #expect(plan.preempted == [2])
    #expect(scheduler.preemptions == 1)
    #expect(scheduler.running.map(\.number) == [1])
    #expect(scheduler.waiting.map(\.number) == [2, 3])
    #expect(scheduler.waiting[0].tokens.count == 9)
    _ = scheduler.finish(1)
    // The older took the last of its two blocks; the first is still known.
    #expect(work(step(&scheduler), scheduler)[2] == 4..<9)
  }

  @Test func `A sequence that cannot grow though it is alone waits without turning in circles`() {
    var scheduler = scheduler(blocks: 4)
    scheduler.add(sequence(1, tokens: 7))
    step(&scheduler)
    // Somebody's handoff holds the rest.
    scheduler.add(sequence(2, tokens: 8))
    step(&scheduler)
    let held = scheduler.finish(2, keeping: 8)
    #expect(held.count == 2)
    let stuck = step(&scheduler)
    #expect(stuck.preempted == [1])
    #expect(step(&scheduler).isIdle)
    #expect(step(&scheduler).isIdle)
    scheduler.release(held)
    #expect(work(step(&scheduler), scheduler)[1] == 8..<9)
  }

  @Test func `A pull takes the whole prompt's blocks, and leaves one token to compute`() {
    var scheduler = scheduler()
    scheduler.add(sequence(1, tokens: 9, pull: true))
    let plan = step(&scheduler)
    #expect(plan.entries.isEmpty)
    #expect(plan.pulls.map(\.number) == [1])
    #expect(plan.pulls[0].destination.count == 3)
    #expect(!plan.isIdle)
    #expect(step(&scheduler).isIdle)
    scheduler.pullEnded(1, .succeeded)
    #expect(work(step(&scheduler), scheduler) == [1: 8..<9])
    #expect(scheduler.running[0].promptSources.pulled == 8)
  }

  @Test func `Others run while one is pulled, and a place in the batch is not needed to pull`() {
    var scheduler = scheduler(sequences: 1)
    scheduler.add(sequence(1, tokens: 9))
    scheduler.add(sequence(2, tokens: 9, pull: true))
    let plan = step(&scheduler)
    #expect(plan.pulls.map(\.number) == [2])
    #expect(work(plan, scheduler) == [1: 0..<9])
    scheduler.pullEnded(2, .succeeded)
    #expect(work(step(&scheduler), scheduler) == [1: 9..<10])
    #expect(scheduler.ready.map(\.number) == [2])
    _ = scheduler.finish(1)
    #expect(work(step(&scheduler), scheduler) == [2: 8..<9])
  }

  @Test func `A sequence that was pulled and waits for its place gives way to an older one`() {
    var scheduler = scheduler(sequences: 1, blocks: 4)
    scheduler.add(sequence(1, tokens: 7))
    scheduler.add(sequence(2, tokens: 8, pull: true))
    step(&scheduler)
    scheduler.pullEnded(2, .succeeded)
    step(&scheduler)
    let plan = step(&scheduler)
    #expect(plan.preempted == [2])
    #expect(scheduler.waiting.map(\.number) == [2])
    #expect(scheduler.waiting[0].pull == nil)
    #expect(work(plan, scheduler) == [1: 8..<9])
  }

  @Test func `A failed pull goes back to its place and computes`() {
    var scheduler = scheduler(sequences: 1)
    scheduler.add(sequence(1, tokens: 9, pull: true))
    scheduler.add(sequence(2, tokens: 9, pull: true))
    step(&scheduler)
    scheduler.add(sequence(3, tokens: 2))
    scheduler.pullEnded(1, .failed)
    #expect(work(step(&scheduler), scheduler) == [1: 0..<9])
    #expect(scheduler.running[0].promptSources.computed == 9)
  }

  @Test func `Cancelling frees at once, but not while a pull may write`() {
    var scheduler = scheduler()
    scheduler.add(sequence(1, tokens: 9))
    step(&scheduler)
    scheduler.add(sequence(2, tokens: 9, pull: true))
    step(&scheduler)
    scheduler.cancel(1)
    scheduler.cancel(2)
    #expect(scheduler.pool.freeCount == 32 - 3)
    scheduler.pullEnded(2, .abandoned)
    #expect(scheduler.pool.freeCount == 32)
    #expect(scheduler.isEmpty)
  }
}
