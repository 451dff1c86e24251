import KVBlocks
import KVTransfer

/// What the step loop knows of a request beside its tokens and blocks, which the scheduler has.
struct ActiveRequest {
  let id: String
  let promptCount: Int
  /// What becomes of the prompt's KV.
  var production: Production
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

/// How far a request's prompt is on its way to another worker.
enum Production {
  /// It stays here.
  case none
  /// Published when the request has ended.
  case atEnd
  /// Given out as soon as it has its blocks.
  case early
  /// Given out; the request holds the blocks.
  case open(KVPublication)
  /// It was given out, and nobody can or need pull it any more.
  case over

  init(_ handoff: GenerationRequest.Handoff, canPublish: Bool) {
    switch handoff {
    case .none, .consume: self = .none
    case .produce: self = .atEnd
    case .produceEarly: self = canPublish ? .early : .atEnd
    }
  }
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
    sum.offloaded += other.offloaded
    sum.pulled += other.pulled
  }
}
