import KVBlocks
import KVTransfer

/// What the step loop knows of a request beside its tokens and blocks, which the scheduler has.
struct ActiveRequest {
  let id: String
  let promptCount: Int
  /// Publish the prompt's KV at the end.
  let produces: Bool
  /// The output is a hidden state.
  let embeds: Bool
  let events: AsyncStream<TokenEvent>.Continuation
  var sampler: Sampler
  var timings: RequestTimings
  var promptSources = PromptTokensBySource()
  var pull: GenerationResult.Pull?
  /// What is known of the prompt so far, if the request asks for it.
  var promptLogprobs: [TokenLogprobs] = []
}

/// Blocks that outlive their request until the transport gives them back.
struct PublishedHandoff {
  let requestID: String
  let handoff: KVHandoff
  let blocks: [KVBlockID]
}

extension PromptTokensBySource {
  static func += (sum: inout Self, other: Self) {
    sum.computed += other.computed
    sum.prefixCache += other.prefixCache
    sum.pulled += other.pulled
  }
}
