import NIOCore
import ServingAPI

extension ProxyContext {
  /// `/stats`: what a person asks first, as JSON.
  var statsPage: BodyValue {
    let report = statistics.report(now: .now())
    return [
      "handoff": .string(handoffKind.rawValue),
      "policies": [
        "prefill": .string(configuration.prefillPolicy.rawValue),
        "decode": .string(configuration.decodePolicy.rawValue),
      ],
      "disaggregation": disaggregation.page,
      "admission": admissionPage,
      "requests": .object(Outcome.allCases) { ($0.rawValue, metrics.count($0)) },
      "fallbacks": .object(ProxyMetrics.Fallback.allCases) { ($0.rawValue, metrics.count($0)) },
      "leg_failures": [
        "prefill": .object(metrics.legFailures(of: .prefill).sorted { $0.key < $1.key }) { ($0.key, $0.value) },
        "decode": .object(metrics.legFailures(of: .decode).sorted { $0.key < $1.key }) { ($0.key, $0.value) },
      ],
      "prefillers": .array(
        registry.fleet.workers(of: .prefill).map { worker in
          let isKnown = report.prefillers.indices.contains(worker.index)
          return Self.describe(worker, isKnown ? report.prefillers[worker.index] : nil)
        }),
      "decoders": .array(registry.fleet.workers(of: .decode).map { Self.describe($0) }),
    ]
  }

  private var admissionPage: BodyValue {
    let (limits, now) = (admission.limits, admission.snapshot)
    return [
      "running": .integer(Int64(now.running)), "prefilling": .integer(Int64(now.prefilling)),
      "queued": .integer(Int64(now.queued)),
      "queued_bytes": .integer(Int64(now.queuedBytes)),
      "expected_ttft_ms": now.expectedTimeToFirstToken.map { .number($0 * 1000) } ?? .null,
      "rejected": .object(requestMetrics.rejected) { ($0.reason.rawValue, $0.count) },
      "limits": [
        "concurrent_requests": .integer(Int64(limits.concurrent)),
        "concurrent_prefills": limits.prefilling.map { .integer(Int64($0)) } ?? .null,
        "queued_requests": .integer(Int64(limits.queued)), "queued_bytes": .integer(Int64(limits.queuedBytes)),
        "requests_per_client": limits.perClient.map { .integer(Int64($0)) } ?? .null,
        "queue_seconds": .number(limits.queueTime / .seconds(1)),
        "ttft_slo_ms": limits.timeToFirstToken.map { .number($0 / .milliseconds(1)) } ?? .null,
        "body_bytes": .integer(Int64(configuration.maxBodyBytes)),
      ],
    ]
  }

  /// `/load`, as vLLM's: requests that are worked on or wait.
  var loadPage: BodyValue {
    let now = admission.snapshot
    return ["server_load": .integer(Int64(now.running + now.queued))]
  }

  /// - Parameter ttft: Of a prefiller that requests ran on.
  static func describe(_ worker: Worker, _ ttft: TTFTReport.Summary? = nil) -> BodyValue {
    let (health, fault) = (worker.health, worker.isLeaving ? "leaving" : worker.health.fault.map { "\($0)" })
    var fields = BodyValue.Fields()
    fields["name"] = .string(worker.name)
    fields["address"] = .string("\(worker.address)")
    fields["source"] = .string(worker.source.rawValue)
    fields["up"] = .bool(fault == nil)
    fields["confirmed"] = .bool(health.isConfirmed)
    if let fault { fields["fault"] = .string(fault) }
    fields["running"] = .integer(Int64(worker.running))
    if let ttft {
      fields["ttft_ms"] = [
        "count": .integer(Int64(ttft.count)), "average": .number(ttft.average), "median": .number(ttft.median),
        "p99": .number(ttft.p99),
      ]
    }
    return .object(fields)
  }

  /// Roles of which no worker is known to be up.
  var missingRoles: [String] {
    var missing: [String] = []
    func isReady(_ pool: WorkerPool) -> Bool {
      pool.workers.contains { $0.health.isConfirmed && $0.health.fault == nil }
    }
    if handoff != nil, !isReady(prefillers) { missing.append("prefiller") }
    if !isReady(decoders) { missing.append("decoder") }
    return missing
  }
}

extension BodyValue {
  fileprivate static func object<Element>(_ elements: [Element], _ field: (Element) -> (String, Int)) -> BodyValue {
    var fields = Fields()
    for element in elements {
      let (key, count) = field(element)
      fields[key] = .integer(Int64(count))
    }
    return .object(fields)
  }
}
