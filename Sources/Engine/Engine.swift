import Glibc
import KVBlocks
import KVOffload
import KVTransfer
import Logging
import Models
import Synchronization

/// Continues prompts, many at a time: token ids in, token ids out.
///
/// One thread of its own (`StepLoop`) owns the model, the block pool and the scheduler; it sleeps when there is
/// nothing to do. Everything here talks to it by messages and may be called from any thread.
package final class Engine: Sendable {
  private let mailbox = Mailbox<EngineMessage>()
  private let admission: Admission
  private let board: StatisticsBoard
  private let limits: EngineLimits
  private let numbers = Atomic<UInt64>(0)

  /// Starts the engine's thread.
  ///
  /// - Parameters:
  ///   - kv: The pool's memory; nobody else may allocate blocks of it.
  ///   - transport: Moves KV to and from other workers. Without it a `.produce` request gives no handoff, and the
  ///     pull of a `.consume` request fails.
  ///   - offload: Keeps what the pool evicts; its pool is `kv`. The engine closes it when it has shut down.
  /// - Precondition: `kv` has the model's layout.
  package init(
    model: sending any LanguageModel, kv: KVMemory, configuration: EngineConfiguration = EngineConfiguration(),
    transport: (any KVTransport)? = nil, offload: OffloadStore? = nil, logger: Logger = Logger(label: "xpyd.engine")
  ) {
    precondition(model.kvLayout == kv.layout, "model: \(model.kvLayout), pool: \(kv.layout)")
    limits = EngineLimits(
      contextLength: min(model.contextLength, configuration.maxModelLength ?? .max),
      poolTokens: kv.blockCount * kv.layout.blockSize,
      vocabularySize: min(model.vocabularySize, configuration.vocabularySize ?? .max))
    admission = Admission(limit: configuration.maxWaiting)
    board = StatisticsBoard(totalBlocks: kv.blockCount)
    let loop = StepLoop(
      model: model, kv: kv, configuration: configuration, limits: limits, transport: transport,
      offload: offload, logger: logger, mailbox: mailbox, admission: admission, board: board)
    loop.start()
  }

  deinit {
    mailbox.post(.shutdown(grace: .zero, done: nil))
  }

  /// What the engine did and does, as of its last step.
  package var statistics: EngineStatistics { board.latest }

  /// Queues a request. Its stream yields the output as it comes, then exactly one `finished`; dropping the stream
  /// cancels the request.
  package func submit(_ request: GenerationRequest) throws(EngineError) -> AsyncStream<TokenEvent> {
    try limits.check(request.promptTokens, embeds: request.embeds)
    try admission.enter()
    let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue
    let (stream, continuation) = AsyncStream.makeStream(of: TokenEvent.self)
    continuation.onTermination = { [mailbox] reason in
      if case .cancelled = reason { mailbox.post(.cancel(number)) }
    }
    let submission = Submission(number: number, request: request, queued: .now, events: continuation)
    guard mailbox.post(.submit(submission)) else {
      admission.left()
      throw .shuttingDown
    }
    return stream
  }

  /// Ends the requests of this id with `.abort`, and withdraws the handoffs that they have published: to be called
  /// whenever a producing request's result could not be delivered to its client.
  package func cancel(_ id: String) { mailbox.post(.cancelRequests(id: id)) }

  /// Forgets the KV that no request holds, wherever it is kept, before whatever is submitted after.
  package func resetPrefixCache() { mailbox.post(.resetPrefixCache) }

  /// Refuses new requests and lets those that it has end. Returns when they have, and when every published handoff
  /// was taken; after `grace` the rest is aborted and withdrawn. The engine's thread has ended then.
  package func shutdown(grace: Duration) async {
    admission.close()
    await withCheckedContinuation { done in
      if !mailbox.post(.shutdown(grace: grace, done: done)) { done.resume() }
    }
  }
}

/// What a prompt must meet to be accepted, and an output to go on.
struct EngineLimits: Sendable {
  let contextLength: Int
  /// What the pool can hold when it is empty.
  let poolTokens: Int
  /// Ids from here on are neither accepted nor chosen.
  let vocabularySize: Int

  /// Where a sequence ends at the latest: the last token's KV is never needed.
  var maxSequenceTokens: Int { min(contextLength, poolTokens + 1) }

  /// - Parameter embeds: No token comes after the prompt.
  func check(_ prompt: [Int32], embeds: Bool) throws(EngineError) {
    guard !prompt.isEmpty else { throw .emptyPrompt }
    let longest = embeds ? contextLength : contextLength - 1
    guard prompt.count <= longest else { throw .promptTooLong(tokens: prompt.count, limit: longest) }
    guard prompt.count <= poolTokens else { throw .promptExceedsPool(tokens: prompt.count, poolTokens: poolTokens) }
    if let position = prompt.firstIndex(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw .tokenOutOfVocabulary(token: prompt[position], position: position, vocabularySize: vocabularySize)
    }
  }
}

/// Where the step loop leaves its figures for others to read.
final class StatisticsBoard: Sendable {
  private let state: Mutex<EngineStatistics>

  init(totalBlocks: Int) {
    var statistics = EngineStatistics()
    statistics.totalBlocks = totalBlocks
    statistics.freeBlocks = totalBlocks
    state = Mutex(statistics)
  }

  var latest: EngineStatistics { state.withLock { $0 } }
  func post(_ statistics: EngineStatistics) { state.withLock { $0 = statistics } }
}
