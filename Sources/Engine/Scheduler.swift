import DequeModule
import KVBlocks
import KVOffload
import KVTransfer

/// Decides what each step computes, and who holds which block.
///
/// A value without lock, clock, model or stream; the step loop owns the only one and carries its plans out. Sequences
/// are served in the order of arrival. A sequence is in exactly one of four places:
/// `waiting` (no blocks) → `pulling` (KV comes from another worker, or from memory or disk) → `ready` (it came; no place in the
/// batch yet) → `running`, or straight from `waiting` to `running`.
///
/// Blocks for all tokens that a sequence has are reserved when it is admitted, so only decode can run out of them.
/// Then the youngest that holds blocks is preempted, and computed again later; the oldest always gets on.
package struct Scheduler: Sendable {
  package let maxSequences: Int
  package let maxBatchedTokens: Int
  /// No sequence gets longer, its last token's KV not counted.
  package let maxSequenceTokens: Int
  private let speculation: NGramSpeculation?
  /// Positions of prompts that are scored in one step at most, so that the logits have a bounded size.
  package static let maxScoredRows = 64
  package private(set) var pool: KVBlockPool

  /// Oldest first; a preempted sequence takes its old place.
  package private(set) var waiting: Deque<SequenceState> = []
  package private(set) var pulling: [SequenceState] = []
  package private(set) var ready: [SequenceState] = []
  /// Oldest first.
  package private(set) var running: [SequenceState] = []

  package private(set) var preemptions = 0
  /// Prompt tokens looked up in, and found by, the prefix cache at first admission.
  package private(set) var prefixCacheQueries = 0
  package private(set) var prefixCacheHits = 0

  package init(
    maxSequences: Int, maxBatchedTokens: Int, maxSequenceTokens: Int = .max, speculation: NGramSpeculation? = nil,
    pool: KVBlockPool
  ) {
    // A running sequence holds a block at least.
    self.maxSequences = min(max(1, maxSequences), pool.blockCount)
    self.maxBatchedTokens = max(self.maxSequences, maxBatchedTokens)
    self.maxSequenceTokens = maxSequenceTokens
    self.speculation = speculation
    self.pool = pool
  }

  package var isEmpty: Bool { waiting.isEmpty && pulling.isEmpty && ready.isEmpty && running.isEmpty }

  package mutating func add(_ sequence: SequenceState) { enqueue(sequence) }

  // MARK: A step

  /// Admits, preempts and cuts the next batch. A running sequence stays where the plan says until `completed`.
  /// - Parameter find: Looks for evicted blocks of these tokens after those of this name; the plan says where they go.
  package mutating func schedule(
    finding find: (KVBlockName, ArraySlice<Int32>) -> OffloadStore.Ticket? = { _, _ in nil }
  ) -> StepPlan {
    var plan = StepPlan()
    growRunning(&plan)
    while running.count < maxSequences, !ready.isEmpty { run(ready.removeFirst()) }
    if plan.preempted.isEmpty { admitWaiting(&plan, find) }
    fill(&plan)
    return plan
  }

  /// The plan's tokens have their KV: full blocks become known to others. What the slots of a draft are worth shows
  /// when its tokens are sampled.
  package mutating func completed(_ plan: StepPlan) {
    for entry in plan.entries {
      running[entry.index].computed = entry.positions.upperBound - entry.draft.count
      running[entry.index].unscored.skip(to: entry.scored.upperBound)
      pool.cacheBlocks(of: &running[entry.index])
    }
  }

  /// Adds a sampled token. Its KV is computed in the next step, unless a draft had guessed it.
  package mutating func append(_ token: Int32, toRunning index: Int, wasDrafted: Bool = false) {
    running[index].tokens.append(token)
    if wasDrafted { running[index].computed += 1 }
  }

  // MARK: A sequence's end

  /// Takes a finished sequence out of `running`.
  /// - Parameter tokens: Keep hold of the blocks of this many leading tokens.
  /// - Returns: Those blocks; `release` them when they are not needed any more.
  package mutating func finish(_ number: UInt64, keeping tokens: Int = 0) -> [KVBlockID] {
    guard let index = running.firstIndex(where: { $0.number == number }) else { return [] }
    let blocks = running.remove(at: index).table.blocks
    let kept = pool.blocks(forTokens: tokens)
    pool.release(blocks.dropFirst(kept))
    return Array(blocks.prefix(kept))
  }

  package mutating func release(_ blocks: [KVBlockID]) { pool.release(blocks) }

  package mutating func forgetFreePrefixes() { pool.forgetFreePrefixes() }

  /// Blocks that `schedule` gave new owners; until one writes to them, their KV is there.
  package mutating func takeEvicted() -> [KVBlockPool.Named] { pool.takeEvicted() }

  /// Takes a sequence out at any time, and frees its blocks; but while it is pulled, somebody may still be
  /// writing to them: then nothing happens, and `pullEnded(_:.abandoned)` must follow the pull's end.
  package mutating func cancel(_ number: UInt64) {
    if let index = waiting.firstIndex(where: { $0.number == number }) {
      waiting.remove(at: index)
    } else if let index = ready.firstIndex(where: { $0.number == number }) {
      pool.release(ready.remove(at: index).table.blocks)
    } else {
      _ = finish(number)
    }
  }

  // MARK: A pull's end

  package enum PullEnd: Sendable {
    /// All but the prompt's last token is there; that one is computed here, for its logits.
    case succeeded
    /// Computed here instead, from where the prefix cache ends.
    case failed
    /// Nobody wants the sequence any more.
    case abandoned
  }

  /// Nobody writes to the sequence's blocks any more.
  package mutating func pullEnded(_ number: UInt64, _ end: PullEnd) {
    guard let index = pulling.firstIndex(where: { $0.number == number }) else { return }
    var sequence = pulling.remove(at: index)
    sequence.pull = nil
    switch end {
    case .succeeded:
      sequence.computed = sequence.promptCount - 1
      sequence.promptSources.pulled = sequence.promptCount - 1
      sequence.promptSources.computed = 1
      pool.cacheBlocks(of: &sequence)
      ready.append(sequence)
    case .failed:
      pool.release(sequence.table.blocks)
      sequence.table = KVBlockTable()
      enqueue(sequence)
    case .abandoned:
      pool.release(sequence.table.blocks)
    }
  }

  /// The read of evicted blocks is over: so many have come, and nobody writes to any.
  /// - Parameter blocks: nil: nobody wants the sequence any more.
  package mutating func loadEnded(_ number: UInt64, blocks: Int?) {
    guard let index = pulling.firstIndex(where: { $0.number == number }) else { return }
    var sequence = pulling.remove(at: index)
    guard let blocks else { return pool.release(sequence.table.blocks) }
    let known = sequence.computed
    sequence.computed += blocks * pool.blockSize
    sequence.noteSources(prefixCache: known)
    pool.cacheBlocks(of: &sequence)
    ready.append(sequence)
  }

  // MARK: Running and its blocks

  /// Gives each running sequence, oldest first, the block that its newest token needs.
  private mutating func growRunning(_ plan: inout StepPlan) {
    var index = 0
    while index < running.count {
      if running[index].table.blocks.count >= pool.blocks(forTokens: running[index].tokens.count) {
        index += 1
      } else if let block = pool.allocate(1) {
        running[index].table.blocks += block
      } else {
        plan.preempted.append(preemptYoungest())
      }
    }
  }

  /// - Precondition: `running` is not empty.
  private mutating func preemptYoungest() -> UInt64 {
    var victim: SequenceState
    if let index = ready.indices.max(by: { ready[$0].number < ready[$1].number }),
      ready[index].number > running[running.count - 1].number
    {
      victim = ready.remove(at: index)
    } else {
      victim = running.removeLast()
    }
    pool.release(victim.table.blocks)
    victim.table = KVBlockTable()
    victim.computed = 0
    preemptions += 1
    enqueue(victim)
    return victim.number
  }

  // MARK: Admission

  private mutating func admitWaiting(
    _ plan: inout StepPlan, _ find: (KVBlockName, ArraySlice<Int32>) -> OffloadStore.Ticket?
  ) {
    var budget = maxBatchedTokens - running.reduce(0) { $0 + $1.pending }
    while let next = waiting.first {
      let admitted =
        if let handoff = next.pull {
          startPull(of: next, handoff, &plan)
        } else {
          start(next, budget: &budget, &plan, find)
        }
      guard admitted else { return }
      waiting.removeFirst()
      if !next.wasAdmitted { plan.admitted.append(next.number) }
    }
  }

  private mutating func start(
    _ next: SequenceState, budget: inout Int, _ plan: inout StepPlan,
    _ find: (KVBlockName, ArraySlice<Int32>) -> OffloadStore.Ticket?
  ) -> Bool {
    guard running.count < maxSequences, budget > 0 else { return false }
    // The last token is always computed: its logits are what the sequence waits for.
    let prefix = next.unscored.isEmpty ? pool.cachedPrefix(of: next.tokens.dropLast(), salt: next.cacheSalt) : []
    let fresh = pool.blocks(forTokens: next.tokens.count) - prefix.count
    guard let blocks = pool.allocate(fresh, after: prefix) else { return false }
    var sequence = next
    sequence.table = KVBlockTable(blocks: blocks, cachedBlocks: prefix.count)
    sequence.computed = prefix.count * pool.blockSize
    if !next.wasAdmitted {
      prefixCacheQueries += sequence.promptCount
      prefixCacheHits += sequence.computed
    }
    if let ticket = evictedBlocks(after: prefix, of: next, find) {
      let end = prefix.count + ticket.blockCount
      plan.loads.append(
        StepPlan.Load(number: next.number, ticket: ticket, destination: Array(blocks[prefix.count..<end])))
      pulling.append(sequence)
      return true
    }
    sequence.noteSources(prefixCache: sequence.computed)
    budget -= sequence.pending
    run(sequence)
    return true
  }

  private func evictedBlocks(
    after prefix: [KVBlockID], of next: SequenceState,
    _ find: (KVBlockName, ArraySlice<Int32>) -> OffloadStore.Ticket?
  ) -> OffloadStore.Ticket? {
    guard next.unscored.isEmpty, pulling.count + ready.count < maxSequences,
      let parent = pool.name(ofLast: prefix, salt: next.cacheSalt)
    else { return nil }
    return find(parent, next.tokens.dropLast().dropFirst(prefix.count * pool.blockSize))
  }

  /// All of the prompt's blocks are fresh, even if the prefix cache knows some: the pull writes to every one, and
  /// it is the pull that lets the prefiller have its own blocks back.
  private mutating func startPull(of next: SequenceState, _ handoff: KVHandoff, _ plan: inout StepPlan) -> Bool {
    guard pulling.count + ready.count < maxSequences,
      let blocks = pool.allocate(pool.blocks(forTokens: next.tokens.count))
    else { return false }
    var sequence = next
    sequence.table = KVBlockTable(blocks: blocks)
    pulling.append(sequence)
    let destination = Array(blocks.prefix(pool.blocks(forTokens: handoff.tokens)))
    plan.pulls.append(StepPlan.Pull(number: next.number, handoff: handoff, destination: destination))
    return true
  }

  // MARK: The batch

  /// Every decode, then as much prefill as the budget has room for, oldest first. Drafts take what is left.
  private mutating func fill(_ plan: inout StepPlan) {
    plan.entries.reserveCapacity(running.count)
    var budget = maxBatchedTokens
    var scorable = Self.maxScoredRows
    for index in running.indices where running[index].pending == 1 {
      add(index, to: &plan, budget: &budget, scorable: &scorable)
    }
    for index in running.indices where running[index].pending > 1 && budget > 0 {
      add(index, to: &plan, budget: &budget, scorable: &scorable)
    }
    guard let speculation else { return }
    for index in plan.entries.indices where running[plan.entries[index].index].pending == 1 && budget > 0 {
      addDraft(by: speculation, atMost: budget, to: &plan.entries[index])
      budget -= plan.entries[index].draft.count
    }
  }

  private func add(_ index: Int, to plan: inout StepPlan, budget: inout Int, scorable: inout Int) {
    let sequence = running[index]
    var end = sequence.computed + min(budget, sequence.pending)
    // After a preemption some positions are computed again that are scored already.
    let scoreEnd = sequence.unscored.lowerBound + scorable
    if scoreEnd < sequence.unscored.upperBound { end = min(end, scoreEnd) }
    guard end > sequence.computed else { return }
    let scored = sequence.unscored.clamped(to: sequence.computed..<end)
    plan.entries.append(
      StepPlan.Entry(
        index: index, positions: sequence.computed..<end, scored: scored, samples: end == sequence.tokens.count))
    budget -= end - sequence.computed
    scorable -= scored.count
  }

  /// As many guesses as context and free blocks allow, too; nobody gives up a block for them.
  private mutating func addDraft(by speculation: NGramSpeculation, atMost limit: Int, to entry: inout StepPlan.Entry) {
    let sequence = running[entry.index]
    let length = sequence.tokens.count
    let draft = speculation.draft(after: sequence.tokens, limit: min(limit, maxSequenceTokens - 1 - length))
    let missing = pool.blocks(forTokens: length + draft.count) - sequence.table.blocks.count
    if missing > 0, let blocks = pool.allocate(missing) { running[entry.index].table.blocks += blocks }
    let slots = running[entry.index].table.blocks.count * pool.blockSize
    // A copy: a slice would hold on to all of the sequence, and the next token would copy it.
    entry.draft = Array(draft.prefix(max(0, slots - length)))
    entry.positions = entry.positions.lowerBound..<length + entry.draft.count
  }

  // MARK: Places

  private mutating func run(_ sequence: SequenceState) {
    let place = running.lastIndex { $0.number < sequence.number }.map { $0 + 1 } ?? 0
    running.insert(sequence, at: place)
  }

  private mutating func enqueue(_ sequence: SequenceState) {
    let place = waiting.lastIndex { $0.number < sequence.number }.map { $0 + 1 } ?? 0
    waiting.insert(sequence, at: place)
  }
}

extension Range<Int> {
  /// Leaves out what is below `bound`.
  fileprivate mutating func skip(to bound: Int) {
    self = Swift.min(Swift.max(lowerBound, bound), upperBound)..<upperBound
  }
}

extension KVBlockPool {
  fileprivate mutating func cacheBlocks(of sequence: inout SequenceState) {
    cache(&sequence.table, tokens: sequence.tokens, computed: sequence.computed, salt: sequence.cacheSalt)
  }
}
