import Logging
import NIOCore
import Synchronization

/// Carries out what `/admin/workers` and discovery want of the fleet: says so in the log, asks who came for `/health` at
/// once, and sees those off that have ended what ran on them. A `Mutex` guards what discovery last failed with.
final class FleetKeeper: Sendable {
  private let context: ProxyContext
  private let checker: HealthChecker
  private let lastFailure = Mutex<DiscoveryError?>(nil)

  init(context: ProxyContext, checker: HealthChecker) {
    self.context = context
    self.checker = checker
  }

  /// Those that are there already stay as they are.
  ///
  /// - Returns: Who came, or was to leave and stays.
  func add(_ endpoints: [WorkerEndpoint]) throws(FleetError) -> [Worker] {
    let changes = try additions(endpoints)
    let (came, _) = context.registry.apply(changes, source: .admin, deadline: .now())
    tell(came: came)
    return came
  }

  /// - Parameters: endpoints: Of workers that are there; those that leave already get a new deadline. grace: How long what runs on them may take to end.
  func remove(_ endpoints: [WorkerEndpoint], grace: Duration) throws(FleetError) {
    try refuseDiscovered(endpoints)
    var changes = WorkerChanges()
    changes.removed = endpoints
    let (_, left) = context.registry.apply(changes, source: .admin, deadline: .now() + TimeAmount(grace))
    tell(left: left, grace)
  }

  /// Gives a worker other roles: new ones as `add` does, and takes old ones as `remove` does.
  func change(_ address: WorkerAddress, to endpoints: [WorkerEndpoint], grace: Duration) throws(FleetError) {
    var changes = try additions(endpoints)
    changes.removed = present.map(\.endpoint).filter { $0.address == address && !endpoints.contains($0) }
    try refuseDiscovered(changes.removed)
    let (came, left) = context.registry.apply(changes, source: .admin, deadline: .now() + TimeAmount(grace))
    tell(came: came)
    tell(left: left, grace)
  }

  private var present: [WorkerChanges.Present] { context.registry.fleet.present.filter { !$0.isLeaving } }

  private func additions(_ endpoints: [WorkerEndpoint]) throws(FleetError) -> WorkerChanges {
    for endpoint in endpoints { try check(endpoint) }
    let changes = WorkerChanges(adding: endpoints, to: present, limit: WorkerRegistry.mostWorkers)
    if let endpoint = changes.ignored.first { throw .tooMany(endpoint.role) }
    return changes
  }

  private func refuseDiscovered(_ endpoints: [WorkerEndpoint]) throws(FleetError) {
    let discovered = present.first { endpoints.contains($0.endpoint) && $0.source == .discovery }
    if let discovered { throw .isDiscoverys(discovered.endpoint) }
  }

  /// A failure that lasts is told once.
  func discovered(_ result: Result<[WorkerEndpoint], DiscoveryError>) {
    switch result {
    case .success(let wanted):
      lastFailure.withLock { $0 = nil }
      reconcile(with: wanted)
    case .failure(let error):
      context.metrics.discoveryFailed()
      let isNew = lastFailure.withLock { last in
        defer { last = error }
        return last != error
      }
      guard isNew else { return }
      context.logger.error("Workers cannot be discovered; those known stay", metadata: ["error": "\(error)"])
    }
  }

  private func reconcile(with wanted: [WorkerEndpoint]) {
    var possible: [WorkerEndpoint] = []
    for endpoint in wanted {
      do throws(FleetError) {
        try check(endpoint)
        possible.append(endpoint)
      } catch {
        context.logger.error(
          "A worker that was discovered cannot be used", metadata: ["worker": "\(endpoint)", "error": "\(error)"])
      }
    }
    let grace = context.configuration.drain
    let (came, left, ignored) = context.registry.reconcile(with: possible, deadline: .now() + TimeAmount(grace))
    tell(came: came)
    tell(left: left, grace)
    if let first = ignored.first {
      context.logger.error(
        "Discovery found more workers than there may be",
        metadata: ["error": "\(FleetError.tooMany(first.role))", "ignored": "\(ignored.count)"])
    }
  }

  /// To be called now and then.
  func sweep() {
    for worker in context.registry.sweep(now: .now()) {
      context.logger.notice("Worker has left", metadata: metadata(worker))
    }
  }

  /// Whether a worker like this can have a part in the deployment.
  private func check(_ endpoint: WorkerEndpoint) throws(FleetError) {
    let (kind, fleet) = (context.configuration.handoff, context.registry.fleet)
    if kind == .none, endpoint.role == .prefill { throw .noPrefillLegs }
    if kind == .lmcacheDisagg, endpoint.role == .decode, context.configuration.lmcache.countsUp {
      throw .receiverUnknown(endpoint.address)
    }
    let others = endpoint.role == .prefill ? fleet.decoders : fleet.prefillers
    if [.sglang, .lmcacheDisagg].contains(kind), others.workers.contains(where: { $0.address == endpoint.address }) {
      throw .hasOtherRole(endpoint.address, kind)
    }
  }

  private func tell(came: [Worker]) {
    for worker in came {
      if worker.role == .prefill, worker.health.fault == .joining {
        context.statistics.forget(prefiller: worker.index)
      }
      context.logger.notice("Worker was added", metadata: metadata(worker))
    }
    checker.checkAtOnce(came)
  }

  private func tell(left: [Worker], _ grace: Duration) {
    for worker in left {
      context.logger.notice(
        "Worker leaves",
        metadata: metadata(worker).merging(["grace": "\(grace)", "running": "\(worker.running)"]) { $1 })
    }
  }

  private func metadata(_ worker: Worker) -> Logger.Metadata {
    ["worker": "\(worker.name)", "address": "\(worker.address)", "source": "\(worker.source)"]
  }
}

/// Why a worker cannot be added or removed.
enum FleetError: Error, Equatable, CustomStringConvertible {
  case tooMany(WorkerRole)
  case noPrefillLegs
  case hasOtherRole(WorkerAddress, HandoffKind)
  case receiverUnknown(WorkerAddress)
  case isDiscoverys(WorkerEndpoint)

  var description: String {
    switch self {
    case .tooMany(let role):
      "There may be \(WorkerRegistry.mostWorkers) \(role.name)s. Remove some, or run a second deployment."
    case .noPrefillLegs:
      "Under --handoff none there are no prefill legs. Add it as a decoder, or choose another handoff."
    case .hasOtherRole(let address, let kind):
      "\(address) has the other role, and under --handoff \(kind.rawValue) a worker has one. Remove it there first."
    case .receiverUnknown(let address):
      "Where \(address) takes KV is not known: --decoder-init-port counts up over the decoders that were named at the "
        + "start. Give each decoder a host of its own, or start the proxy with all of them."
    case .isDiscoverys(let endpoint):
      "\(endpoint) is there because --service-discovery finds it, and would come back. Remove it where it is found."
    }
  }
}
