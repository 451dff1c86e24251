/// How a running deployment fares, from what it said at two moments.
package struct RunningChecks: Sendable {
  let now: FleetSnapshot
  let before: FleetSnapshot

  package init(_ now: FleetSnapshot, since before: FleetSnapshot) {
    self.now = now
    self.before = before
  }

  package var findings: [Finding] { [workers, unevenLoad, contention, network, bottleneck] }

  private func pool(_ role: Deployment.Role) -> [FleetSnapshot.Worker] { now.workers.filter { $0.role == role } }

  private var workers: Finding {
    let down = now.workers.filter { $0.fault != nil }
    guard !down.isEmpty else { return Finding("Workers", .ok, "all \(now.workers.count) are up") }
    return Finding(
      "Workers", .failure, down.map { "\($0.name) at \($0.address) is \($0.fault ?? "")" }.joined(separator: "; "),
      remedy: "see its log, or start it again; requests go around it meanwhile")
  }

  /// Since the start: a rotation that is even shows within a few requests.
  private var unevenLoad: Finding {
    let name = "Uneven load"
    for role in [Deployment.Role.prefiller, .decoder] {
      let legs = pool(role).map(\.legs)
      guard legs.count > 1, let most = legs.max(), let least = legs.min(), most >= 10, least < most / 2 else {
        continue
      }
      let shares = pool(role).map { "\($0.name) \(Int($0.legs))" }.joined(separator: ", ")
      return Finding(
        name, .warning, "answered: \(shares)",
        remedy:
          "if no policy or session wants it so: --\(role == .prefiller ? "prefill" : "decode")-policy least-loaded")
    }
    let shares = pool(.prefiller).map { "\($0.name) \(Int($0.legs))" }.joined(separator: ", ")
    return Finding(name, .ok, "answered: \(shares)")
  }

  private var contention: Finding {
    let name = "Resource contention"
    let full = now.workers.filter { ($0.kvUse ?? 0) >= 0.9 }
    let preempted = now.workers.filter { worker in
      worker.preemptions > (before.workers.first { $0.name == worker.name }?.preemptions ?? worker.preemptions)
    }
    if let first = preempted.first ?? full.first {
      let use = first.kvUse.map { ", KV cache \(Int(($0 * 100).rounded())) % full" } ?? ""
      return Finding(
        name, .warning, "\(first.name): \(Int(first.preemptions)) preemptions so far\(use)",
        remedy: "give it more KV memory, add workers of its role, or lower --max-num-seqs")
    }
    let most = now.workers.compactMap(\.kvUse).max()
    return Finding(
      name, .ok, "no preemption\(most.map { "; the fullest KV cache is at \(Int(($0 * 100).rounded())) %" } ?? "")")
  }

  private var network: Finding {
    let name = "Network bottlenecks"
    let failures = now.workers.filter { $0.transferFailures > 0 }
    if let first = failures.first {
      return Finding(
        name, .warning,
        "\(first.name): \(Int(first.transferFailures)) transfers failed so far; their prompts were computed again",
        remedy: "see the decoder's log for the peer and the reason")
    }
    let bytes = now.workers.reduce(0) { $0 + $1.transferBytes }
    let seconds = now.workers.reduce(0) { $0 + $1.transferSeconds }
    guard bytes > 0, seconds > 0 else { return Finding(name, .skipped, "nothing was transferred yet") }
    let rate = bytes / seconds / 1e9
    let text = "\(Int(bytes / 1e6)) MB of KV moved at \((rate * 100).rounded() / 100) GB/s"
    // Of the time until the first token, what the transfer took; small KV is slow and does not matter.
    let first = pool(.decoder).reduce(0) { $0 + $1.timeToFirstToken.sum }
    return rate < 0.5 && first > 0 && seconds > first / 2
      ? Finding(
        name, .warning, "\(text): more than half of the decoders' time to first token",
        remedy: "use a faster transport (UCX_TLS, UCX_NET_DEVICES), or one host for prefillers and decoders")
      : Finding(name, .ok, text)
  }

  /// The pool whose requests wait. Decoders that wait for KV memory are told by how full it is.
  private var bottleneck: Finding {
    let name = "Bottleneck"
    func waiting(_ role: Deployment.Role) -> Double {
      pool(role).reduce(0) { $0 + $1.waiting } / Double(max(1, pool(role).count))
    }
    func use(_ role: Deployment.Role) -> Double { pool(role).compactMap(\.kvUse).max() ?? 0 }
    let (prefill, decode) = (waiting(.prefiller), waiting(.decoder))
    if prefill >= 1, prefill >= decode {
      return Finding(
        name, .warning,
        "the prefill pool: \(one(prefill)) requests wait at each prefiller, \(one(decode)) at each decoder",
        remedy: "add a prefiller, or give them more compute")
    }
    if decode >= 1 || use(.decoder) >= 0.9 {
      let percent = Int((use(.decoder) * 100).rounded())
      return Finding(
        name, .warning,
        "the decode pool: \(one(decode)) requests wait at each decoder, \(one(prefill)) at each prefiller; its fullest KV cache is at \(percent) %",
        remedy: "add a decoder, or give them more KV memory")
    }
    if now.queued > 0 {
      return Finding(
        name, .warning, "the proxy's own limit: \(now.queued) requests queue there, and no worker has any waiting",
        remedy: "raise --max-concurrent-requests")
    }
    return Finding(name, .ok, "none: nothing waits")
  }

  private func one(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
