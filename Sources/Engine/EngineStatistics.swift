/// The engine's gauges and counters after its last step; the worker's `/metrics` is made of it.
package struct EngineStatistics: Sendable, Equatable {
  // Gauges.
  /// Requests that wait for blocks or a place in the batch.
  package var waiting = 0
  /// Requests whose KV is on its way, from another worker or from memory or disk, or has come and waits for a place in the batch.
  package var pulling = 0
  package var running = 0
  /// Handoffs whose blocks no decoder has taken yet.
  package var published = 0
  package var totalBlocks = 0
  /// Blank, or cached and evictable.
  package var freeBlocks = 0
  /// Share of the pool that is held, 0…1.
  package var kvUsage: Double { totalBlocks == 0 ? 0 : 1 - Double(freeBlocks) / Double(totalBlocks) }

  // Counters.
  /// Of prompts whose first token came.
  package var promptTokens = PromptTokensBySource()
  package var generationTokens = 0
  /// Guesses made by prompt lookup, their tokens, and those of them that were right.
  package var drafts = 0
  package var draftTokens = 0
  package var acceptedDraftTokens = 0
  package var preemptions = 0
  /// Prompt tokens looked up in, and found by, the prefix cache.
  package var prefixCacheQueries = 0
  package var prefixCacheHits = 0
  package var pullSuccesses = 0
  /// Of these, the ones whose KV came while it was computed.
  package var followedPulls = 0
  /// Refused ones too.
  package var pullFailures = 0
  /// Failures of pulls that never came to the transport.
  package var pullRefusals: [PullRefusal: Int] = [:]
  package var publishFailures = 0

  package init() {}
}

/// Why a pull is not even begun; the raw value is for metrics.
package enum PullRefusal: String, Sendable, CaseIterable {
  case noTransport = "no_transport"
  /// The handoff is of another prompt.
  case promptMismatch = "prompt_mismatch"
}
