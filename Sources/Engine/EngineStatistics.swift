/// The engine's gauges and counters after its last step; the worker's `/metrics` is made of it.
package struct EngineStatistics: Sendable, Equatable {
  // Gauges.
  /// Requests that wait for blocks or a place in the batch.
  package var waiting = 0
  /// Requests whose KV is on its way, or has come and waits for a place in the batch.
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
  package var preemptions = 0
  /// Prompt tokens looked up in, and found by, the prefix cache.
  package var prefixCacheQueries = 0
  package var prefixCacheHits = 0
  package var pullSuccesses = 0
  package var pullFailures = 0
  package var pulledBytes = 0
  package var publishFailures = 0
  package var finished = FinishedByReason()

  package init() {}

  package struct FinishedByReason: Sendable, Equatable {
    package var stop = 0
    package var length = 0
    package var abort = 0
    package var error = 0
    package init() {}

    package var total: Int { stop + length + abort + error }
  }
}
