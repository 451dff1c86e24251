import Engine
import KVTransfer
import ServingAPI
import Tokenization

/// Reads one choice's events from the engine to their end, and hands on what each adds.
struct ChoiceRun {
  let plan: ChoicePlan
  let events: AsyncStream<TokenEvent>
  let engine: Engine
  let tokenizer: Tokenizer
  let metrics: WorkerMetrics
  /// Gets the ticket of a request that is `.produceEarly`, before its first token.
  var announce: @Sendable (KVHandoff) -> Void = { _ in }

  struct Outcome: Sendable {
    var result: GenerationResult
    /// As the client is told; the engine knows nothing of stop strings.
    var reason: ChoiceEnd.Reason
    /// Tokens that the client got.
    var outputTokens: Int
  }

  /// - Parameter emit: Gets the deltas in order, and the number of tokens so far. The last one has an `end`.
  /// - Throws: `APIError` if the engine failed, `CancellationError` if this task was cancelled, and what `emit` throws.
  ///   Cancelling the engine's request is then the caller's.
  func read(_ emit: (ChoiceDelta, Int) async throws -> Void) async throws -> Outcome {
    var decoder = ChoiceDecoder(tokenizer: tokenizer, options: plan.decoding)
    decoder.resume(after: plan.request.promptTokens.suffix(plan.request.earlierOutput))
    var tools = plan.tools.map { ToolCallReader($0, allowsSeveral: plan.allowsSeveralCalls) }
    var clock = TokenClock()
    // The last token's delta waits for the end that follows at once, so that both are one chunk.
    var held = ChoiceDelta(text: plan.echo, logprobs: plan.decoding.wantsLogprobs ? [] : nil)
    var isCut = false
    for await event in events {
      switch event {
      case .handoff(let handoff): announce(handoff)
      case .prompt(let scores):
        held = held.followed(by: decoder.prompt(scores, tokens: plan.request.promptTokens))
      case .token(let token):
        if let gap = clock.tick() { metrics.interTokenLatency.observe(gap) }
        guard !isCut, !plan.isEchoOnly else { continue }
        let delta = held.followed(by: tools.worded(decoder.accept(token)))
        held = ChoiceDelta(logprobs: delta.logprobs.map { _ in [] })
        if delta.end != nil {
          isCut = true
          endEarly(decoder.tokenCount)
          try await emit(delta, decoder.tokenCount)
        } else if token.isStop || decoder.tokenCount == plan.decoding.maxTokens || (tools != nil && delta.saysNothing) {
          held = delta
        } else {
          try await emit(delta, decoder.tokenCount)
        }
      case .hiddenState: break
      case .finished(let result):
        if isCut { return Outcome(result: result, reason: .stop, outputTokens: decoder.tokenCount) }
        let end = plan.isEchoOnly ? ChoiceEnd(.length) : try Self.end(of: result)
        let last = decoder.finish(end)
        try await emit(held.followed(by: tools.worded(last)), decoder.tokenCount)
        return Outcome(result: result, reason: last.end?.reason ?? .stop, outputTokens: decoder.tokenCount)
      }
    }
    try Task.checkCancellation()
    throw APIError.internalError("The engine has stopped.")
  }

  /// A stop string ended the choice before the engine would. A handoff that is being made is left to its end: to
  /// cancel its request would withdraw it.
  private func endEarly(_ tokenCount: Int) {
    switch plan.request.handoff {
    case .produce, .produceEarly: return
    case .none, .consume: break
    }
    if tokenCount < plan.decoding.maxTokens { engine.cancel(plan.request.id) }
  }

  /// - Throws: What the client is told of a request that did not come to its end.
  static func end(of result: GenerationResult) throws(APIError) -> ChoiceEnd {
    switch result.reason {
    case .stop(let token): return ChoiceEnd(.stop, stopReason: token.map { .integer(Int64($0)) } ?? .null)
    case .length: return ChoiceEnd(.length)
    case .abort: throw .overloaded("The request was aborted: this worker is shutting down.", retryAfter: 1)
    case .error(let message): throw .internalError(message)
    }
  }
}

extension ChoiceDelta {
  fileprivate var saysNothing: Bool { text.isEmpty && toolCalls.isEmpty && end == nil }
}

extension ToolCallReader? {
  /// The delta with the calls that are in its text apart from it.
  fileprivate mutating func worded(_ delta: ChoiceDelta) -> ChoiceDelta {
    guard self != nil else { return delta }
    var delta = delta
    var output = self!.append(delta.text)
    if let end = delta.end {
      output = output.followed(by: self!.finish())
      if end.reason == .stop, self!.endsWithCalls { delta.end?.reason = .toolCalls }
    }
    (delta.text, delta.toolCalls) = (output.text, output.calls)
    return delta
  }
}

/// The gaps between one choice's tokens.
private struct TokenClock {
  private var last: ContinuousClock.Instant?

  /// - Returns: nil for the first token.
  mutating func tick() -> Duration? {
    let now = ContinuousClock.now
    defer { last = now }
    return last.map { $0.duration(to: now) }
  }
}
