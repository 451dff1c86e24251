import ServingAPI

/// The proxy's Prometheus metrics. All label values come from closed sets, and all children exist from the start.
final class ProxyMetrics: Sendable {
  typealias Fallback = RequestTimeline.Fallback

  enum Migration: String, CaseIterable {
    case resumed
    case impossible
  }

  let registry = PrometheusRegistry()
  private let requests: [Endpoint: [Outcome: Counter]]
  private let legFailures: [WorkerRole: [String: Counter]]
  private let fallbacks: [Fallback: Counter]
  private let migrations: [Migration: Counter]
  private let discoveryFailures: Counter

  init() {
    let registry = self.registry
    requests = Self.table(Endpoint.relayed) { endpoint in
      Self.table(Outcome.allCases) { outcome in
        registry.counter(
          "xpyd:proxy_requests_total", help: "Requests by how they ended.",
          labels: [("endpoint", endpoint.rawValue), ("outcome", outcome.rawValue)])
      }
    }
    legFailures = Self.table([WorkerRole.prefill, .decode]) { role in
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
    discoveryFailures = registry.counter(
      "xpyd:proxy_discovery_failures_total", help: "Times that the workers could not be looked up.")
    migrations = Self.table(Migration.allCases) { outcome in
      registry.counter(
        "xpyd:proxy_migrations_total", help: "Streams whose decoder failed, by whether they went on elsewhere.",
        labels: [("outcome", outcome.rawValue)])
    }
  }

  /// Whoever is there when the page is asked for.
  func show(_ workers: WorkerRegistry) {
    func readings(_ read: @escaping @Sendable (Worker) -> Double) -> @Sendable () -> PrometheusRegistry.Readings {
      { workers.fleet.workers.map { ([("role", $0.role.rawValue), ("worker", $0.name)], read($0)) } }
    }
    for role in [WorkerRole.prefill, .decode] {
      registry.gauge(
        "xpyd:proxy_workers", help: "Workers that there are, whether they are up or not.",
        labels: [("role", role.rawValue)]
      ) { Double((role == .prefill ? workers.fleet.prefillers : workers.fleet.decoders).workers.count) }
    }
    registry.gauges(
      "xpyd:proxy_worker_up", help: "Whether requests are sent to it.",
      read: readings { $0.health.fault == nil && !$0.isLeaving ? 1 : 0 })
    registry.gauges(
      "xpyd:proxy_worker_running", help: "Legs that run on it.", read: readings { Double($0.running) })
    registry.gauges(
      "xpyd:proxy_worker_leaving", help: "Whether it was removed and ends what runs on it.",
      read: readings { $0.isLeaving ? 1 : 0 })
  }

  func finished(_ endpoint: Endpoint, _ outcome: Outcome) { requests[endpoint]?[outcome]?.increment() }

  func legFailed(_ role: WorkerRole, _ fault: LegFault) { legFailures[role]?[fault.label]?.increment() }

  func discoveryFailed() { discoveryFailures.increment() }

  func fellBack(_ reason: Fallback) { fallbacks[reason]?.increment() }

  func migrated(_ outcome: Migration) { migrations[outcome]?.increment() }

  func count(_ outcome: Outcome) -> Int { requests.values.reduce(0) { $0 + Int($1[outcome]?.value ?? 0) } }

  func count(_ reason: Fallback) -> Int { Int(fallbacks[reason]?.value ?? 0) }

  func legFailures(of role: WorkerRole) -> [String: Int] {
    (legFailures[role] ?? [:]).mapValues { Int($0.value) }.filter { $0.value > 0 }
  }

  private static func table<Key: Hashable, Value>(_ keys: [Key], _ make: (Key) -> Value) -> [Key: Value] {
    Dictionary(uniqueKeysWithValues: keys.map { ($0, make($0)) })
  }
}
