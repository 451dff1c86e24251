/// What must be done so that the workers that are there become those that discovery wants.
///
/// Discovery takes away only what it brought: workers of the command line and of `/admin/workers` stay, wanted or not.
package struct WorkerChanges: Equatable, Sendable {
  package struct Present: Sendable {
    package var endpoint: WorkerEndpoint
    package var source: WorkerSource
    package var isLeaving: Bool

    package init(_ endpoint: WorkerEndpoint, _ source: WorkerSource, isLeaving: Bool = false) {
      self.endpoint = endpoint
      self.source = source
      self.isLeaving = isLeaving
    }
  }

  /// New ones, and those that leave and are to stay.
  package var added: [WorkerEndpoint] = []
  package var removed: [WorkerEndpoint] = []
  /// Beyond the limit: the fleet goes on without them.
  package var ignored: [WorkerEndpoint] = []

  package init() {}

  /// - Parameters: wanted: May name one twice. limit: Workers of one role, those that leave not counted.
  package init(from present: [Present], to wanted: [WorkerEndpoint], limit: Int) {
    let staying = present.filter { !$0.isLeaving }
    var known = Set(staying.map(\.endpoint))
    let goal = Set(wanted)
    removed = staying.filter { $0.source == .discovery && !goal.contains($0.endpoint) }.map(\.endpoint)
    var counts: [WorkerRole: Int] = [:]
    for endpoint in known.subtracting(removed) { counts[endpoint.role, default: 0] += 1 }
    for endpoint in wanted where known.insert(endpoint).inserted {
      guard counts[endpoint.role, default: 0] < limit else {
        ignored.append(endpoint)
        continue
      }
      counts[endpoint.role, default: 0] += 1
      added.append(endpoint)
    }
  }

  /// - Parameter present: But for those that leave. None of them is removed.
  package init(adding endpoints: [WorkerEndpoint], to present: [Present], limit: Int) {
    self.init(from: present.map { Present($0.endpoint, .flags) }, to: endpoints, limit: limit)
  }

  package var isEmpty: Bool { added.isEmpty && removed.isEmpty }
}
