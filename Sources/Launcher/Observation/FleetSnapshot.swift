import Foundation

/// What a running deployment said of itself at one moment.
package struct FleetSnapshot: Sendable {
  /// A histogram's sum and count since its process began.
  package struct Total: Equatable, Sendable {
    package var sum = 0.0
    package var count = 0.0

    package init(sum: Double = 0, count: Double = 0) {
      self.sum = sum
      self.count = count
    }

    /// nil if nothing was counted, or the process began anew.
    package func mean(since earlier: Total) -> Double? {
      count > earlier.count ? (sum - earlier.sum) / (count - earlier.count) : nil
    }
  }

  package struct Worker: Sendable {
    package var name: String
    package var role: Deployment.Role
    package var address: String
    /// What the proxy says; nil: it is up.
    package var fault: String?
    /// Answers of its legs, as the proxy counted them.
    package var legs = 0.0
    package var running = 0.0
    package var waiting = 0.0
    /// From 0 to 1; nil if it does not say.
    package var kvUse: Double?
    package var timeToFirstToken = Total()
    package var interTokenLatency = Total()
    package var transferBytes = 0.0
    package var transferSeconds = 0.0
    package var transferFailures = 0.0
    package var preemptions = 0.0

    package init(name: String, role: Deployment.Role, address: String) {
      self.name = name
      self.role = role
      self.address = address
    }
  }

  package var time: ContinuousClock.Instant
  package var running = 0
  package var queued = 0
  package var outcomes: [String: Int] = [:]
  package var workers: [Worker]

  package init(time: ContinuousClock.Instant, workers: [Worker]) {
    self.time = time
    self.workers = workers
  }
}

/// Asks a proxy, and through it its workers.
package struct FleetObserver: Sendable {
  /// `http://localhost:9000`
  package let url: String

  package init(url: String) { self.url = url }

  private struct Stats: Decodable {
    struct Admission: Decodable {
      let running: Int
      let queued: Int
    }
    struct Worker: Decodable {
      let name: String
      let address: String
      let fault: String?
    }
    let admission: Admission
    let requests: [String: Int]
    let prefillers: [Worker]
    let decoders: [Worker]
  }

  /// - Throws: If the proxy does not answer, or is none of ours. A worker that does not answer has no figures.
  package func snapshot() async throws(HTTPGet.Failure) -> FleetSnapshot {
    let body = try await HTTPGet.body(of: "\(url)/stats")
    guard let stats = try? JSONDecoder().decode(Stats.self, from: body) else {
      throw HTTPGet.Failure(description: "\(url)/stats is not an xpyd proxy's")
    }
    let proxy = MetricsPage(String(decoding: try await HTTPGet.body(of: "\(url)/metrics"), as: UTF8.self))
    let named = stats.prefillers.map { ($0, Deployment.Role.prefiller) } + stats.decoders.map { ($0, .decoder) }
    let workers = await withTaskGroup(of: (Int, FleetSnapshot.Worker).self) { group in
      for (place, (worker, role)) in named.enumerated() {
        group.addTask {
          var seen = FleetSnapshot.Worker(name: worker.name, role: role, address: worker.address)
          seen.fault = worker.fault
          let leg = role == .prefiller ? "prefill" : "decode"
          seen.legs = proxy.sum("xpyd:proxy_\(leg)_leg_seconds_count", where: ["worker": worker.name]) ?? 0
          if let body = try? await HTTPGet.body(of: "\(url)/workers/\(worker.name)/metrics") {
            seen.read(MetricsPage(String(decoding: body, as: UTF8.self)))
          }
          return (place, seen)
        }
      }
      return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
    var snapshot = FleetSnapshot(time: .now, workers: workers)
    (snapshot.running, snapshot.queued, snapshot.outcomes) = (
      stats.admission.running, stats.admission.queued, stats.requests
    )
    return snapshot
  }
}

extension FleetSnapshot.Worker {
  /// vLLM's names, which ours have, too.
  package mutating func read(_ page: MetricsPage) {
    func total(_ name: String) -> FleetSnapshot.Total {
      .init(sum: page.sum("\(name)_sum") ?? 0, count: page.sum("\(name)_count") ?? 0)
    }
    running = page.sum("vllm:num_requests_running") ?? 0
    waiting = page.sum("vllm:num_requests_waiting") ?? 0
    kvUse = page.sum("vllm:kv_cache_usage_perc")
    timeToFirstToken = total("vllm:time_to_first_token_seconds")
    interTokenLatency = total("vllm:inter_token_latency_seconds")
    transferBytes = total("vllm:nixl_bytes_transferred").sum
    transferSeconds = total("vllm:nixl_xfer_time_seconds").sum
    transferFailures = page.sum("vllm:nixl_num_failed_transfers_total") ?? 0
    preemptions = page.sum("vllm:num_preemptions_total") ?? 0
  }
}
