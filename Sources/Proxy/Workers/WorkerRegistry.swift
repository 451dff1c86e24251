import NIOCore
import Synchronization

/// Which workers there are. A `Mutex` guards the one fleet, which each change replaces: a request looks at one moment's
/// fleet, and holds the workers of its legs whatever becomes of them.
///
///     added ──▶ joining ──▶ up ──▶ leaving ──▶ gone
///               /health passes     nothing runs on it, or its time is over
final class WorkerRegistry: Sendable {
  /// Workers of one role at a time, so that neither a mistake nor a flood of endpoints takes all memory.
  static let mostWorkers = 1024

  private let configuration: ProxyConfiguration
  private let metrics: RequestMetrics
  private let memory: PromptMemory?
  private let current: Mutex<Fleet>

  /// - Parameter metrics: Where the workers' numbers are kept.
  init(_ configuration: ProxyConfiguration, metrics: RequestMetrics) {
    self.configuration = configuration
    self.metrics = metrics
    memory = configuration.shapeRules.prompt ? PromptMemory() : nil
    func workers(_ role: WorkerRole, _ addresses: [WorkerAddress]) -> [Worker] {
      addresses.enumerated().map { place, address in
        Worker(
          WorkerEndpoint(role, address), index: place, source: .flags, series: metrics.series(of: role, place),
          health: WorkerHealth(ejectAfter: configuration.healthCheck.ejectAfter))
      }
    }
    let prefillers = workers(.prefill, configuration.prefillers + configuration.both)
    let decoders = workers(.decode, configuration.decoders + configuration.both)
    current = Mutex(configuration.makeFleet(prefillers, decoders, leaving: [], memory: memory))
  }

  var fleet: Fleet { current.withLock { $0 } }

  /// Takes up and lets go.
  ///
  /// - Parameter deadline: By when those that are removed must have ended what runs on them.
  /// - Returns: Who came and who goes, those that were to go and stay among the first.
  func apply(
    _ changes: WorkerChanges, source: WorkerSource, deadline: NIODeadline
  ) -> (came: [Worker], left: [Worker]) {
    current.withLock { fleet in
      var draft = FleetDraft(fleet)
      for endpoint in changes.removed { draft.remove(endpoint, by: deadline) }
      for endpoint in changes.added {
        draft.add(endpoint, source) { newWorker(endpoint, source, beside: $0) }
      }
      fleet = configuration.makeFleet(
        draft.workers[.prefill] ?? [], draft.workers[.decode] ?? [], leaving: draft.leaving, memory: memory)
      return (draft.came, draft.left)
    }
  }

  /// What discovery wants: adds and removes its workers.
  func reconcile(
    with wanted: [WorkerEndpoint], deadline: NIODeadline
  ) -> (came: [Worker], left: [Worker], ignored: [WorkerEndpoint]) {
    let changes = WorkerChanges(from: fleet.present, to: wanted, limit: Self.mostWorkers)
    guard !changes.isEmpty else { return ([], [], changes.ignored) }
    let (came, left) = apply(changes, source: .discovery, deadline: deadline)
    return (came, left, changes.ignored)
  }

  /// - Returns: Who has gone for good: nothing ran on it any more, or its time is over.
  func sweep(now: NIODeadline) -> [Worker] {
    guard !fleet.leaving.isEmpty else { return [] }
    return current.withLock { fleet in
      var leaving = fleet.leaving
      let isGone = leaving.map { $0.isIdle || $0.hasToEnd(now: now) }
      guard isGone.contains(true) else { return [] }
      let gone = zip(leaving, isGone).filter(\.1).map(\.0)
      leaving = zip(leaving, isGone).filter { !$0.1 }.map(\.0)
      fleet = Fleet(prefillers: fleet.prefillers, decoders: fleet.decoders, leaving: leaving)
      return gone
    }
  }

  func forgetPrompts(of worker: Worker) { memory?.forget(worker) }

  /// Takes the smallest number that nobody of its role has, so that metrics' labels stay few however often workers change.
  private func newWorker(_ endpoint: WorkerEndpoint, _ source: WorkerSource, beside others: [Worker]) -> Worker {
    let taken = Set(others.lazy.filter { $0.role == endpoint.role }.map(\.index))
    let index = (0...taken.count).first { !taken.contains($0) } ?? taken.count
    return Worker(
      endpoint, index: index, source: source, series: metrics.series(of: endpoint.role, index),
      health: .joining(ejectAfter: configuration.healthCheck.ejectAfter))
  }
}

/// A fleet while it changes.
private struct FleetDraft {
  var workers: [WorkerRole: [Worker]]
  var leaving: [Worker]
  var came: [Worker] = []
  var left: [Worker] = []

  init(_ fleet: Fleet) {
    workers = [.prefill: fleet.prefillers.workers, .decode: fleet.decoders.workers]
    leaving = fleet.leaving
  }

  /// One that leaves already gets a new deadline.
  mutating func remove(_ endpoint: WorkerEndpoint, by deadline: NIODeadline) {
    leaving.first { $0.endpoint == endpoint }?.leave(by: deadline)
    guard let place = workers[endpoint.role]?.firstIndex(where: { $0.endpoint == endpoint }),
      let worker = workers[endpoint.role]?.remove(at: place)
    else { return }
    worker.leave(by: deadline)
    leaving.append(worker)
    left.append(worker)
  }

  /// One that is there stays, and one that leaves comes back.
  mutating func add(_ endpoint: WorkerEndpoint, _ source: WorkerSource, new: (_ others: [Worker]) -> Worker) {
    let others = workers[endpoint.role] ?? []
    guard !others.contains(where: { $0.endpoint == endpoint }) else { return }
    let worker: Worker
    if let place = leaving.firstIndex(where: { $0.endpoint == endpoint }) {
      worker = leaving.remove(at: place)
      worker.stay(source)
    } else {
      worker = new(others + leaving)
    }
    workers[endpoint.role] = others + [worker]
    came.append(worker)
  }
}

extension Fleet {
  var present: [WorkerChanges.Present] {
    workers.map { WorkerChanges.Present($0.endpoint, $0.source, isLeaving: $0.isLeaving) }
  }
}
