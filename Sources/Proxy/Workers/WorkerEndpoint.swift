/// What tells workers apart: a process that does both is one of each role.
package struct WorkerEndpoint: Hashable, Sendable, CustomStringConvertible {
  package var role: WorkerRole
  package var address: WorkerAddress

  package init(_ role: WorkerRole, _ address: WorkerAddress) {
    self.role = role
    self.address = address
  }

  package var description: String { "\(role.name) \(address)" }
}

/// Who said that a worker belongs to the fleet, and so may say that it no longer does.
package enum WorkerSource: String, Sendable {
  /// The command line.
  case flags
  /// `POST /admin/workers`
  case admin
  /// `--service-discovery`
  case discovery
}
