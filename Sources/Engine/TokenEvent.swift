import KVTransfer

/// What a request's stream yields: tokens in order, or one hidden state; then exactly one `finished`.
package enum TokenEvent: Sendable {
  /// Before all else, if the request is `.produceEarly`: the ticket to KV that is about to be computed.
  case handoff(KVHandoff)
  /// Before the first token, if `SamplingParameters.promptLogprobs` asks for it: the prompt's tokens from its second on,
  /// each given those before it.
  case prompt([TokenLogprobs])
  case token(GeneratedToken)
  /// Of the prompt's last token after the model's last norm, if the request `embeds`.
  case hiddenState([Float])
  case finished(GenerationResult)
}

package struct GeneratedToken: Sendable {
  package var id: Int32
  /// True for the end-of-sequence or stop token that ended the output. It counts as output (`completion_tokens`), but
  /// its text is shown only on demand (`include_stop_str_in_output`).
  package var isStop: Bool
  /// Present if the request asked for log-probabilities.
  package var logprobs: TokenLogprobs?

  package init(id: Int32, isStop: Bool = false, logprobs: TokenLogprobs? = nil) {
    self.id = id
    self.isStop = isStop
    self.logprobs = logprobs
  }
}

package struct TokenLogprobs: Sendable {
  /// Of the sampled token, natural log, before temperature, penalties and truncation, as vLLM's default `raw_logprobs`.
  package var logprob: Float
  /// The `SamplingParameters.logprobs` most likely tokens, best first.
  package var top: [(id: Int32, logprob: Float)]
  /// The token's place among all by likelihood, from 1; of equals the last one's.
  package var rank: Int

  package init(logprob: Float, top: [(id: Int32, logprob: Float)], rank: Int) {
    self.logprob = logprob
    self.top = top
    self.rank = rank
  }
}

package struct GenerationResult: Sendable {
  package enum FinishReason: Sendable, Equatable {
    /// An end-of-sequence token, or one of `stopTokenIDs` (then `token` names which).
    case stop(token: Int32?)
    /// `maxTokens`, the context or the KV pool is used up.
    case length
    /// Cancelled, or the engine was shut down.
    case abort
    case error(String)
  }

  /// What became of a `.consume` request's pull.
  package enum Pull: Sendable {
    case succeeded(KVPullReport)
    /// The reason in words. Under the policy `recompute` the request went on all the same.
    case failed(String)
  }

  package var reason: FinishReason
  /// Set on a request with `.produce` or `.produceEarly` that ended well and could be published, unless it is pulled already.
  package var handoff: KVHandoff?
  /// Nil if the request asked for no pull, or was cancelled before it ended.
  package var pull: Pull?
  package var promptTokens: PromptTokensBySource
  /// Every token that the stream yielded, the stop token too.
  package var outputTokens: Int
  package var timings: RequestTimings

  package init(
    reason: FinishReason, handoff: KVHandoff? = nil, pull: Pull? = nil,
    promptTokens: PromptTokensBySource = PromptTokensBySource(), outputTokens: Int = 0, timings: RequestTimings
  ) {
    self.reason = reason
    self.handoff = handoff
    self.pull = pull
    self.promptTokens = promptTokens
    self.outputTokens = outputTokens
    self.timings = timings
  }
}

/// Where the KV of a prompt came from; the sum is the prompt's length, or 0 if the request ended before its first
/// token. What a preemption computes again is not counted again.
package struct PromptTokensBySource: Sendable, Equatable {
  package var computed = 0
  package var prefixCache = 0
  /// Evicted before, and kept in memory or on disk.
  package var offloaded = 0
  package var pulled = 0
  package init() {}

  package var total: Int { computed + prefixCache + offloaded + pulled }
}

/// When a request passed its stations; the differences are vLLM's histograms.
package struct RequestTimings: Sendable, Equatable {
  package var queued: ContinuousClock.Instant
  /// First given blocks: for its computation, or for its pull.
  package var scheduled: ContinuousClock.Instant?
  package var firstToken: ContinuousClock.Instant?
  package var finished: ContinuousClock.Instant

  package init(queued: ContinuousClock.Instant) {
    self.queued = queued
    self.finished = queued
  }

  /// `vllm:request_queue_time_seconds`.
  package var queueTime: Duration { queued.duration(to: scheduled ?? finished) }
  /// `vllm:request_prefill_time_seconds`: a pull is part of it.
  package var prefillTime: Duration? { firstToken.map { (scheduled ?? queued).duration(to: $0) } }
  /// `vllm:time_to_first_token_seconds`, from the engine's side.
  package var timeToFirstToken: Duration? { firstToken.map { queued.duration(to: $0) } }
  /// `vllm:request_decode_time_seconds`: from the first token to the last.
  package var decodeTime: Duration? { firstToken.map { $0.duration(to: finished) } }
  /// `vllm:request_inference_time_seconds`.
  package var inferenceTime: Duration? { scheduled.map { $0.duration(to: finished) } }
}
