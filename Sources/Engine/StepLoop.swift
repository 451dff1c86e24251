import Glibc
import KVBlocks
import KVOffload
import KVTransfer
import Logging
import Models

/// The engine's thread: reads its mail, lets the scheduler plan a step, computes it, hands out the tokens, and sleeps
/// when there is nothing to do.
///
/// Not `Sendable`: after `start` only its own thread touches it. It decides nothing that `Scheduler` or `Sampler`
/// can decide.
final class StepLoop {
  let configuration: EngineConfiguration
  let limits: EngineLimits
  let transport: (any KVTransport)?
  let offload: OffloadStore?
  let logger: Logger
  let mailbox: Mailbox<EngineMessage>
  let admission: Admission
  private let board: StatisticsBoard

  private let model: any LanguageModel
  let kv: KVMemory
  private let logits: UnsafeMutableBufferPointer<Float>
  /// Of the rows of `logits`; the model's until its next step.
  private var hiddenStates = UnsafeBufferPointer<Float>(start: nil, count: 0)
  private let scratch = SamplerScratch()
  private var batch = ForwardBatch()

  var scheduler: Scheduler
  /// Requests whose stream has not ended.
  var requests: [UInt64: ActiveRequest] = [:]
  /// Pulls under way; the scheduler holds their blocks, whether the request still lives or not.
  var pulls: [UInt64: Task<Void, Never>] = [:]
  /// Reads of evicted blocks under way; the scheduler holds their destinations, whether the request still lives or not.
  var loads: Set<UInt64> = []
  /// Handoffs whose blocks the transport may still read.
  var published: [UInt64: PublishedHandoff] = [:]
  var counters = EngineStatistics()
  /// Events of this turn, yielded when the statistics tell of them.
  var outbox: [(AsyncStream<TokenEvent>.Continuation, TokenEvent)] = []
  var shutdown = ShutdownPhase.serving
  var shutdownWaiters: [CheckedContinuation<Void, Never>] = []

  init(
    model: any LanguageModel, kv: KVMemory, configuration: EngineConfiguration, limits: EngineLimits,
    transport: (any KVTransport)?, offload: OffloadStore?, logger: Logger, mailbox: Mailbox<EngineMessage>,
    admission: Admission, board: StatisticsBoard
  ) {
    self.model = model
    self.kv = kv
    self.configuration = configuration
    self.limits = limits
    self.transport = transport
    self.offload = offload
    self.logger = logger
    self.mailbox = mailbox
    self.admission = admission
    self.board = board
    scheduler = Scheduler(
      maxSequences: configuration.maxSequences, maxBatchedTokens: configuration.maxBatchedTokens,
      maxSequenceTokens: limits.maxSequenceTokens, speculation: configuration.speculation,
      pool: KVBlockPool(
        blockCount: kv.blockCount, blockSize: kv.layout.blockSize, cachesPrefixes: configuration.enablePrefixCaching,
        fingerprint: offload?.fingerprint))
    let rowsPerSequence = 1 + (configuration.speculation?.draftTokens ?? 0)
    let rows = scheduler.maxSequences * rowsPerSequence + Scheduler.maxScoredRows
    logits = .allocate(capacity: rows * model.vocabularySize)
  }

  deinit { logits.deallocate() }

  /// Gives the loop to a new thread, which keeps it alive until the engine has shut down.
  consuming func start() {
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        // SAFETY: the one who called `start` gave the loop away; from here only this thread has it.
        Unmanaged<StepLoop>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(code == 0, "cannot start the engine's thread: \(String(cString: strerror(code)))")
    pthread_detach(thread)
  }

  private func run() {
    var mail: [EngineMessage] = []
    var wait = Mailbox<EngineMessage>.Wait.forMessage(deadline: nil)
    while true {
      mailbox.take(into: &mail, wait: wait)
      for message in mail { handle(message) }
      mail.removeAll(keepingCapacity: true)
      let isOver = advanceShutdown(now: .now)
      let worked = !isOver && step()
      postStatistics()
      deliver()
      if isOver { break }
      wait = worked ? .no : .forMessage(deadline: shutdown.deadline)
    }
    endThread()
  }

  private func handle(_ message: EngineMessage) {
    switch message {
    case .submit(let submission): accept(submission)
    case .cancel(let number): cancel(number)
    case .cancelRequests(let id): cancelRequests(id: id)
    case .pullEnded(let number, let result): pullEnded(number, result)
    case .loadEnded(let number, let blocks): loadEnded(number, blocks: blocks)
    case .released(let number): released(number)
    case .resetPrefixCache: resetPrefixCache()
    case .shutdown(let grace, let done): beginShutdown(grace: grace, done: done)
    }
  }

  // MARK: A step

  /// - Returns: False if there is nothing to do until a message comes.
  private func step() -> Bool {
    let plan = planStep()
    noteAdmissions(plan.admitted)
    for number in plan.preempted { notePreemption(number) }
    for number in plan.admitted { openHandoff(of: number) }
    for pull in plan.pulls { start(pull) }
    for load in plan.loads { start(load) }
    if !plan.entries.isEmpty {
      forward(plan)
      scheduler.completed(plan)
      sample(plan)
    }
    return !plan.isIdle
  }

  /// Computes the plan's tokens, and into `logits` for each entry, in order, the rows of `scored` and those that it samples.
  private func forward(_ plan: StepPlan) {
    batch.tokens.removeAll(keepingCapacity: true)
    batch.sequences.removeAll(keepingCapacity: true)
    batch.logitRows.removeAll(keepingCapacity: true)
    for entry in plan.entries {
      let sequence = scheduler.running[entry.index]
      let firstRow = batch.tokens.count
      batch.tokens.append(
        contentsOf: sequence.tokens[entry.positions.lowerBound..<entry.positions.upperBound - entry.draft.count])
      batch.tokens.append(contentsOf: entry.draft)
      batch.sequences.append(
        ForwardBatch.Sequence(
          rows: firstRow..<batch.tokens.count, startPosition: entry.positions.lowerBound,
          blockTable: sequence.table.blocks))
      batch.logitRows += entry.scored.map { firstRow + $0 - entry.positions.lowerBound }
      batch.logitRows.append(contentsOf: batch.tokens.count - entry.sampledRows..<batch.tokens.count)
    }
    batch.layerIsStored = announcer(of: plan)
    let rows = batch.logitRows.count
    hiddenStates = model.forward(
      batch, kv: kv, logits: UnsafeMutableBufferPointer(rebasing: logits[..<(rows * model.vocabularySize)]))
    // Lets go of the block tables, so that the scheduler changes its own in place.
    batch.sequences.removeAll(keepingCapacity: true)
    batch.layerIsStored = nil
  }

  private func sample(_ plan: StepPlan) {
    let now = ContinuousClock.now
    var row = 0
    var ended: [(UInt64, GenerationResult.FinishReason)] = []
    for entry in plan.entries where entry.samples || !entry.scored.isEmpty {
      let number = scheduler.running[entry.index].number
      for position in entry.scored {
        score(scheduler.running[entry.index].tokens[position + 1], of: number, row: row)
        row += 1
      }
      if let reason = sample(entry, of: number, firstRow: row, at: now) { ended.append((number, reason)) }
      row += entry.sampledRows
    }
    for (number, reason) in ended { finish(number, reason) }
  }

  /// The sequence's next token; and as long as the draft has guessed it, the one after it.
  /// - Returns: Why the request ends, if it does.
  private func sample(
    _ entry: StepPlan.Entry, of number: UInt64, firstRow: Int, at now: ContinuousClock.Instant
  ) -> GenerationResult.FinishReason? {
    if requests[number]!.embeds, entry.samples { return embed(number, index: entry.index, row: firstRow, at: now) }
    let width = model.vocabularySize
    if !entry.draft.isEmpty {
      counters.drafts += 1
      counters.draftTokens += entry.draft.count
    }
    for row in 0..<entry.sampledRows {
      let start = (firstRow + row) * width
      let values = UnsafeMutableBufferPointer(rebasing: logits[start..<start + limits.vocabularySize])
      let token = requests[number]!.sampler.sample(values, scratch: scratch)
      let wasDrafted = row < entry.draft.count && entry.draft[row] == token.id
      scheduler.append(token.id, toRunning: entry.index, wasDrafted: wasDrafted)
      if wasDrafted { counters.acceptedDraftTokens += 1 }
      if let reason = note(token, of: number, index: entry.index, at: now) { return reason }
      if !wasDrafted { return nil }
    }
    return nil
  }

  private func embed(
    _ number: UInt64, index: Int, row: Int, at now: ContinuousClock.Instant
  ) -> GenerationResult.FinishReason {
    let width = hiddenStates.count / batch.logitRows.count
    notePrompt(of: number, index: index, at: now)
    outbox.append((requests[number]!.events, .hiddenState(Array(hiddenStates[row * width..<(row + 1) * width]))))
    return .stop(token: nil)
  }

  /// Notes how likely a prompt's token is, by the logits of the one before it.
  private func score(_ token: Int32, of number: UInt64, row: Int) {
    let start = row * model.vocabularySize
    scratch.keep(UnsafeMutableBufferPointer(rebasing: logits[start..<start + limits.vocabularySize]))
    let count = requests[number]!.sampler.parameters.promptLogprobs ?? 0
    requests[number]!.promptLogprobs.append(scratch.logprobs(of: token, top: count))
  }

  /// - Returns: Why the request ends with this token, if it does.
  private func note(
    _ token: GeneratedToken, of number: UInt64, index: Int, at now: ContinuousClock.Instant
  ) -> GenerationResult.FinishReason? {
    counters.generationTokens += 1
    notePrompt(of: number, index: index, at: now)
    let request = requests[number]!
    outbox.append((request.events, .token(token)))
    if let stop = request.sampler.stopReason(of: token.id) { return stop }
    let isFull = scheduler.running[index].tokens.count >= limits.maxSequenceTokens
    return isFull || request.sampler.outputCount >= request.sampler.parameters.maxTokens ? .length : nil
  }

  /// The prompt is computed, and what comes after it is there.
  private func notePrompt(of number: UInt64, index: Int, at now: ContinuousClock.Instant) {
    let sources = scheduler.running[index].promptSources
    if requests[number]!.timings.firstToken == nil {
      requests[number]!.timings.firstToken = now
      counters.promptTokens += sources
      if requests[number]!.sampler.parameters.promptLogprobs != nil {
        outbox.append((requests[number]!.events, .prompt(requests[number]!.promptLogprobs)))
        requests[number]!.promptLogprobs = []
      }
    }
    requests[number]!.promptSources = sources
    requests[number]!.timings.finished = now
  }

  private func noteAdmissions(_ numbers: [UInt64]) {
    for number in numbers where requests[number]?.timings.scheduled == nil {
      let now = ContinuousClock.now
      requests[number]?.timings.scheduled = now
      admission.admitted(at: now)
    }
  }

  private func notePreemption(_ number: UInt64) {
    revokeHandoff(of: number)
    logger.debug("preempted: the KV pool is full", metadata: ["request.id": "\(requests[number]?.id ?? "")"])
  }

  // MARK: News for others

  private func postStatistics() {
    counters.waiting = scheduler.waiting.count
    counters.pulling = scheduler.pulling.count + scheduler.ready.count
    counters.running = scheduler.running.count
    counters.published = published.count
    counters.totalBlocks = scheduler.pool.blockCount
    counters.freeBlocks = scheduler.pool.freeCount
    counters.preemptions = scheduler.preemptions
    counters.prefixCacheQueries = scheduler.prefixCacheQueries
    counters.prefixCacheHits = scheduler.prefixCacheHits
    board.post(counters)
  }

  private func deliver() {
    for (stream, event) in outbox {
      let outcome = stream.yield(event)
      guard case .finished(let result) = event else { continue }
      if let handoff = result.handoff, case .terminated = outcome { transport?.withdraw(handoff.id) }
      stream.finish()
    }
    outbox.removeAll(keepingCapacity: true)
  }
}
