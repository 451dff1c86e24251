import KVTransfer

/// What other threads tell the step loop.
enum EngineMessage: Sendable {
  case submit(Submission)
  /// The request's stream was dropped.
  case cancel(UInt64)
  case cancelRequests(id: String)
  case pullEnded(UInt64, Result<KVPullReport, KVTransferError>)
  /// So many of the blocks that this request waits for have come from memory or disk.
  case loadEnded(UInt64, blocks: Int)
  /// The blocks that this request published may be reused.
  case released(UInt64)
  case resetPrefixCache
  case shutdown(grace: Duration, done: CheckedContinuation<Void, Never>?)
}

struct Submission: Sendable {
  var number: UInt64
  var request: GenerationRequest
  var queued: ContinuousClock.Instant
  var events: AsyncStream<TokenEvent>.Continuation
}
