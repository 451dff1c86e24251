import ServingAPI

/// The proxy's Prometheus metrics. All label values come from closed sets, and all children exist from the start.
final class ProxyMetrics: Sendable {
  enum Fallback: String, CaseIterable {
    case noPrefiller = "no_prefiller"
    case prefillFailed = "prefill_failed"
    case noHandoff = "no_handoff"
    case handoffFailed = "handoff_failed"
  }

  let registry = PrometheusRegistry()
  /// By prefiller.
  let timeToFirstToken: [Histogram]
  let prefillLeg: [Histogram]
  /// By decoder.
  let endToEnd: [Histogram]
  private let requests: [Endpoint: [Outcome: Counter]]
  private let retries: [WorkerRole: [String: Counter]]
  private let fallbacks: [Fallback: Counter]

  init(prefillers: [Worker], decoders: [Worker]) {
    let registry = self.registry
    timeToFirstToken = prefillers.map { worker in
      registry.histogram(
        "xpyd:proxy_time_to_first_token_seconds", help: "From the client's request to the first token, by prefiller.",
        buckets: MetricBuckets.timeToFirstToken, labels: [("worker", worker.name)])
    }
    prefillLeg = prefillers.map { worker in
      registry.histogram(
        "xpyd:proxy_prefill_leg_seconds", help: "Prefill legs that were answered.",
        buckets: MetricBuckets.timeToFirstToken, labels: [("worker", worker.name)])
    }
    endToEnd = decoders.map { worker in
      registry.histogram(
        "xpyd:proxy_e2e_request_latency_seconds", help: "Requests answered in whole, by decoder.",
        buckets: MetricBuckets.requestLatency, labels: [("worker", worker.name)])
    }
    requests = Self.table(Endpoint.relayed) { endpoint in
      Self.table(Outcome.allCases) { outcome in
        registry.counter(
          "xpyd:proxy_requests_total", help: "Requests by how they ended.",
          labels: [("endpoint", endpoint.rawValue), ("outcome", outcome.rawValue)])
      }
    }
    retries = Self.table([WorkerRole.prefill, .decode]) { role in
      Self.table(LegFault.labels) { label in
        registry.counter(
          "xpyd:proxy_leg_failures_total", help: "Legs that failed and were run elsewhere or given up.",
          labels: [("role", role.rawValue), ("error_type", label)])
      }
    }
    fallbacks = Self.table(Fallback.allCases) { reason in
      registry.counter(
        "xpyd:proxy_fallbacks_total", help: "Requests that a decoder prefilled itself, by reason.",
        labels: [("reason", reason.rawValue)])
    }
    for worker in prefillers + decoders {
      let labels = [("role", worker.role.rawValue), ("worker", worker.name)]
      registry.gauge("xpyd:proxy_worker_up", help: "Whether requests are sent to it.", labels: labels) {
        worker.health.fault == nil ? 1 : 0
      }
      registry.gauge("xpyd:proxy_worker_running", help: "Legs that run on it.", labels: labels) {
        Double(worker.running)
      }
    }
  }

  func finished(_ endpoint: Endpoint, _ outcome: Outcome) { requests[endpoint]?[outcome]?.increment() }

  func retried(_ role: WorkerRole, _ fault: LegFault) { retries[role]?[fault.label]?.increment() }

  func fellBack(_ reason: Fallback) { fallbacks[reason]?.increment() }

  func count(_ outcome: Outcome) -> Int { requests.values.reduce(0) { $0 + Int($1[outcome]?.value ?? 0) } }

  func count(_ reason: Fallback) -> Int { Int(fallbacks[reason]?.value ?? 0) }

  func failures(of role: WorkerRole) -> [String: Int] {
    (retries[role] ?? [:]).mapValues { Int($0.value) }.filter { $0.value > 0 }
  }

  private static func table<Key: Hashable, Value>(_ keys: [Key], _ make: (Key) -> Value) -> [Key: Value] {
    Dictionary(uniqueKeysWithValues: keys.map { ($0, make($0)) })
  }
}
