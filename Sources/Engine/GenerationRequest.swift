import KVTransfer

/// One prompt to continue, in token ids.
package struct GenerationRequest: Sendable {
  /// What becomes of the prompt's KV.
  package enum Handoff: Sendable {
    /// Computed and used here.
    case none
    /// Prefill only: publish the prompt's blocks when it is computed (`do_remote_decode`).
    case produce
    /// Pull the prompt's KV from the prefiller that published it (`do_remote_prefill`).
    case consume(KVHandoff)
  }

  package var id: String
  /// At least one token.
  package var promptTokens: [Int32]
  package var sampling: SamplingParameters
  package var handoff: Handoff

  package init(
    id: String, promptTokens: [Int32], sampling: SamplingParameters = SamplingParameters(), handoff: Handoff = .none
  ) {
    self.id = id
    self.promptTokens = promptTokens
    self.sampling = sampling
    self.handoff = handoff
  }
}

/// What a request's stream yields: tokens in order, then exactly one `finished`.
package enum TokenEvent: Sendable {
  case token(GeneratedToken)
  case finished(GenerationResult)
}

package struct GeneratedToken: Sendable {
  package var id: Int32
  /// Present if the request asked for log-probabilities.
  package var logprobs: TokenLogprobs?
}

package struct TokenLogprobs: Sendable {
  /// Of the sampled token, natural log, before temperature, penalties and truncation, as vLLM's default `raw_logprobs`.
  package var logprob: Float
  /// 1 is the most likely token.
  package var rank: Int
  /// The `SamplingParameters.logprobs` most likely tokens, best first.
  package var top: [(id: Int32, logprob: Float)]
}

package struct GenerationResult: Sendable {
  package enum FinishReason: Sendable, Equatable {
    /// An end-of-sequence token or one of `stopTokenIDs` (then `token` names which).
    case stop(token: Int32?)
    case length
    case abort
    case error(String)
  }

  package var reason: FinishReason
  /// Set on a request with `.produce` that ended well.
  package var handoff: KVHandoff?
  package var promptTokens: PromptTokensBySource
  package var outputTokens: Int
}

/// Where the KV of a prompt came from; the sum is the prompt's length.
package struct PromptTokensBySource: Sendable, Equatable {
  package var computed = 0
  package var prefixCache = 0
  package var pulled = 0
  package init() {}
}
