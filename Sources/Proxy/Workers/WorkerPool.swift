import NIOCore

/// The workers of one role, and the policy that picks among them.
final class WorkerPool: Sendable {
  let role: WorkerRole
  let workers: [Worker]
  private let policy: any RoutingPolicy
  /// By a worker's index: the same process in the other role.
  private let twins: [Int: Worker]
  /// nil if nobody asks for it.
  private let memory: PromptMemory?

  init(role: WorkerRole, workers: [Worker], others: [Worker], policy: any RoutingPolicy, memory: PromptMemory?) {
    self.role = role
    self.workers = workers
    self.policy = policy
    self.memory = memory
    let byAddress = Dictionary(others.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    twins = Dictionary(
      uniqueKeysWithValues: workers.compactMap { worker in byAddress[worker.address].map { (worker.index, $0) } })
  }

  var hasTwins: Bool { !twins.isEmpty }

  /// Legs that run on the worker, whatever its role.
  func running(on worker: Worker) -> Int { worker.running + (twins[worker.index]?.running ?? 0) }

  /// The worker for a leg that begins now.
  ///
  /// - Parameters: excluding: workers not to be picked. avoiding: workers to be picked only if there is no other.
  ///   prefilledAt: where the prefill ran; the same process is avoided too. preferring: the one to be picked if nothing
  ///   speaks against it, whatever the policy says.
  func pick(
    _ shape: RequestShape, excluding: Set<Int>, avoiding: Set<Int> = [], prefilledAt: WorkerAddress? = nil,
    preferring: Int? = nil, now: NIODeadline
  ) -> Worker? {
    var avoiding = avoiding
    if let prefilledAt, hasTwins { avoiding.formUnion(workers.lazy.filter { $0.address == prefilledAt }.map(\.index)) }
    let worker = candidate(shape, excluding: excluding, avoiding: avoiding, preferring: preferring, now: now)
    if let worker { memory?.sent(shape.prompt, to: worker) }
    return worker
  }

  /// The worker that `pick` would pick: an eligible one, else one that is down but cheap to try, so that a role's last
  /// worker is never given up. A prefiller that would keep the request waiting is not tried: the decoder can prefill.
  func candidate(
    _ shape: RequestShape, excluding: Set<Int> = [], avoiding: Set<Int> = [], preferring: Int? = nil, now: NIODeadline
  ) -> Worker? {
    let candidates = workers.filter { !excluding.contains($0.index) }
    let eligible = candidates.filter { $0.health.isEligible(now: now) }
    let best = avoiding.isEmpty ? eligible : eligible.filter { !avoiding.contains($0.index) }
    if let preferring, let worker = best.first(where: { $0.index == preferring }) { return worker }
    if let worker = choose(best, shape) { return worker }
    if let worker = choose(eligible, shape) { return worker }
    let last = candidates.filter { role == .decode || $0.health.isCheapToTry }
    return choose(last.filter { !avoiding.contains($0.index) }, shape) ?? choose(last, shape)
  }

  func seenBytes(of prompt: PromptBlocks, by worker: Worker) -> Int {
    memory?.seenBytes(of: prompt, by: [worker])[0] ?? 0
  }

  private func choose(_ workers: [Worker], _ shape: RequestShape) -> Worker? {
    guard workers.count > 1 else { return workers.first }
    let seen = memory?.seenBytes(of: shape.prompt, by: workers)
    let loads = workers.indices.map { place in
      WorkerLoad(
        identity: workers[place].identity, running: running(on: workers[place]), seenBytes: seen?[place] ?? 0)
    }
    var random = SystemRandomNumberGenerator()
    return policy.pick(from: loads, for: shape, using: &random).map { workers[$0] }
  }
}

extension WorkerHealth {
  /// It answers, or it will fail at once if it fails.
  fileprivate var isCheapToTry: Bool { fault == nil || fault == .unreachable || fault == .failing }
}
