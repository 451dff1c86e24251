import Engine
import KVBlocks
import KVTransfer
import ServingAPI

extension WorkerMetrics {
  /// The engine's own figures, read at each scrape.
  func add(_ engine: Engine, layout: KVLayout, enablePrefixCaching: Bool) {
    addGauges(of: engine)
    addCounters(of: engine)
    registry.gauge(
      "vllm:cache_config_info", help: "Information of the LLMEngine CacheConfig",
      labels: [
        ("block_size", "\(layout.blockSize)"), ("cache_dtype", layout.elementType.rawValue),
        ("enable_prefix_caching", enablePrefixCaching ? "True" : "False"),
        ("num_cpu_blocks", "\(engine.statistics.totalBlocks)"),
      ]
    ) { 1 }
  }

  private func addGauges(of engine: Engine) {
    func gauge(_ name: String, _ help: String, _ read: @escaping @Sendable (EngineStatistics) -> Double) {
      registry.gauge(name, help: help) { [weak engine] in engine.map { read($0.statistics) } ?? 0 }
    }
    gauge("vllm:num_requests_running", "Number of requests in model execution batches.") { Double($0.running) }
    gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.") {
      Double($0.waiting + $0.pulling)
    }
    gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", \.kvUsage)
    gauge("xpyd:kv_blocks", "KV blocks in the pool.") { Double($0.totalBlocks) }
    gauge("xpyd:kv_blocks_free", "KV blocks that nobody holds, cached ones included.") { Double($0.freeBlocks) }
    gauge("xpyd:requests_pulling", "Requests whose KV is on its way from a prefiller.") { Double($0.pulling) }
    gauge("xpyd:handoffs_published", "Handoffs whose blocks no decoder has taken yet.") { Double($0.published) }
  }

  private func addCounters(of engine: Engine) {
    counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.", engine) {
      $0.prefixCacheQueries
    }
    counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.", engine) {
      $0.prefixCacheHits
    }
    counter("vllm:num_preemptions_total", "Cumulative number of preemption from the engine.", engine, \.preemptions)
    counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.", engine) {
      $0.promptTokens.total
    }
    counter("vllm:prompt_tokens_cached_total", "Number of cached prompt tokens (local + external).", engine) {
      $0.promptTokens.total - $0.promptTokens.computed
    }
    counter("vllm:generation_tokens_total", "Number of generation tokens processed.", engine, \.generationTokens)
    counter("vllm:spec_decode_num_drafts_total", "Number of spec decoding drafts.", engine, \.drafts)
    counter("vllm:spec_decode_num_draft_tokens_total", "Number of draft tokens.", engine, \.draftTokens)
    counter("vllm:spec_decode_num_accepted_tokens_total", "Number of accepted tokens.", engine, \.acceptedDraftTokens)
    registry.counters(
      "vllm:prompt_tokens_by_source_total", help: "Number of prompt tokens by source.", label: "source"
    ) { [weak engine] in
      let sources = engine?.statistics.promptTokens ?? PromptTokensBySource()
      return [
        ("local_compute", Double(sources.computed)), ("local_cache_hit", Double(sources.prefixCache)),
        ("local_offload_hit", Double(sources.offloaded)), ("external_kv_transfer", Double(sources.pulled)),
      ]
    }
  }

  private func counter(
    _ name: String, _ help: String, _ engine: Engine, _ read: @escaping @Sendable (EngineStatistics) -> Int
  ) {
    registry.counter(name, help: help) { [weak engine] in engine.map { Double(read($0.statistics)) } ?? 0 }
  }

  func add(_ plane: KVPlane, _ engine: Engine) {
    switch plane {
    case .pull(let transport): add(transport, engine)
    case .sender(let transport, let pusher, _):
      add(transport, engine)
      add(pusher)
    case .receiver(let receiver, _): add(receiver, engine)
    }
  }

  /// The handoffs' figures, read at each scrape. Pulls that the engine refuses never come to the transport.
  func add(_ transport: PullTransport, _ engine: Engine) {
    func counter(_ name: String, _ help: String, _ read: @escaping @Sendable (TransferStatistics) -> Int) {
      registry.counter(name, help: help) { [weak transport] in transport.map { Double(read($0.statistics)) } ?? 0 }
    }
    counter("vllm:nixl_num_kv_expired_reqs_total", "Number of requests that had their KV expire.", \.expired)
    counter("xpyd:handoffs_total", "Handoffs that this worker has published.", \.published)
    counter("xpyd:handoffs_withdrawn_total", "Handoffs given up before a decoder pulled them.", \.withdrawn)
    self.counter(
      "xpyd:kv_publish_failures_total", "Prompts whose KV could not be published.", engine, \.publishFailures)
    self.counter("xpyd:kv_pulls_total", "Prompts whose KV was pulled.", engine, \.pullSuccesses)
    self.counter(
      "xpyd:kv_pulls_followed_total", "Prompts whose KV was pulled while it was computed.", engine, \.followedPulls)
    self.counter(
      "vllm:nixl_num_failed_transfers_total", "Number of failed NIXL KV Cache transfers.", engine, \.pullFailures)
    registry.counters("xpyd:kv_pull_failures_total", help: "Pulls that failed, by error.", label: "error_type") {
      [weak transport, weak engine] in
      let failures = (transport?.statistics.failuresByLabel ?? [:]).sorted { $0.key < $1.key }
      let refusals = engine?.statistics.pullRefusals ?? [:]
      return failures.map { ($0.key, Double($0.value)) }
        + PullRefusal.allCases.compactMap { refusal in refusals[refusal].map { (refusal.rawValue, Double($0)) } }
    }
    registry.counters("xpyd:kv_pulled_bytes_total", help: "Bytes of KV pulled, by transport.", label: "transport") {
      [weak transport] in
      (transport?.statistics.bytesByTransport ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, Double($0.value)) }
    }
  }
}
