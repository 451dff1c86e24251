import KVOffload
import ServingAPI

/// The figures of evicted KV that is kept, read at each scrape.
extension WorkerMetrics {
  func add(_ offload: OffloadStore) {
    let bytesPerBlock = offload.bytesPerBlock
    func counter(_ name: String, _ help: String, _ read: @escaping @Sendable (OffloadStatistics.Tier) -> Int) {
      registry.counters("xpyd:kv_offload_\(name)_total", help: help, label: "tier") { [weak offload] in
        let statistics = offload?.statistics ?? OffloadStatistics()
        return OffloadTier.allCases.map { ($0.rawValue, Double(read(statistics[$0]))) }
      }
    }
    registry.gauges("xpyd:kv_offload_bytes", help: "Bytes of evicted KV that are kept, by tier.") { [weak offload] in
      let statistics = offload?.statistics ?? OffloadStatistics()
      return OffloadTier.allCases.map { ([("tier", $0.rawValue)], Double(statistics[$0].blocks * bytesPerBlock)) }
    }
    counter("hits", "Blocks that the prefix cache did not have, and that were found here.", \.hits)
    counter("misses", "Blocks that the prefix cache did not have, nor this tier.", \.misses)
    counter("stored_bytes", "Bytes of KV written to the tier.") { $0.stored * bytesPerBlock }
    counter("loaded_bytes", "Bytes of KV that came back from the tier.") { $0.loaded * bytesPerBlock }
    counter("evictions", "Blocks that the tier gave up for others.", \.evictions)
    counter("dropped", "Blocks not written to the tier: all its room was in use, or it was behind.", \.dropped)
    registry.counters(
      "xpyd:kv_offload_failures_total", help: "Faults of the disk tier; each costs a prefill at most.",
      label: "error_type"
    ) { [weak offload] in
      (offload?.statistics.failures ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, Double($0.value)) }
    }
  }
}
