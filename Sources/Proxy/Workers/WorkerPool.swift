import NIOCore

/// The workers of one role, and the policy that picks among them.
struct WorkerPool: Sendable {
  let role: WorkerRole
  let workers: [Worker]
  let policy: any RoutingPolicy

  init(role: WorkerRole, addresses: [WorkerAddress], policy: any RoutingPolicy) {
    self.role = role
    self.policy = policy
    workers = addresses.enumerated().map { Worker(role: role, index: $0.offset, address: $0.element) }
  }

  /// The worker for a leg: an eligible one, else one that is down but cheap to try, so that a role's last worker is
  /// never given up. A prefiller that would keep the request waiting is not tried: the decoder can prefill.
  ///
  /// - Parameters: excluding: workers not to be picked. avoiding: workers to be picked only if there is no other.
  func pick(_ shape: RequestShape, excluding: Set<Int>, avoiding: Set<Int> = [], now: NIODeadline) -> Worker? {
    let candidates = workers.filter { !excluding.contains($0.index) }
    let eligible = candidates.filter { $0.health.isEligible(now: now) }
    if let worker = choose(eligible.filter { !avoiding.contains($0.index) }, shape) { return worker }
    if let worker = choose(eligible, shape) { return worker }
    return choose(candidates.filter { role == .decode || $0.health.isCheapToTry }, shape)
  }

  private func choose(_ workers: [Worker], _ shape: RequestShape) -> Worker? {
    var random = SystemRandomNumberGenerator()
    let loads = workers.map { WorkerLoad(running: $0.running) }
    return policy.pick(from: loads, for: shape, using: &random).map { workers[$0] }
  }
}

extension WorkerHealth {
  /// It will fail at once if it fails.
  fileprivate var isCheapToTry: Bool { fault == .unreachable || fault == .failing }
}
