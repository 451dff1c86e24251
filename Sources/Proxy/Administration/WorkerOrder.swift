import NIOCore
import ServingAPI

/// The body of `POST /admin/workers`: `{"role":"decode","address":"10.0.0.7:8200"}`; of `PATCH`, whose path has the address, only
/// the role.
package struct WorkerOrder: Equatable, Sendable {
  /// Two for a worker that does both.
  package let endpoints: [WorkerEndpoint]

  /// - Parameter known: The worker's; nil: the body has it.
  package init(_ body: ByteBuffer, of known: WorkerAddress? = nil) throws(APIError) {
    let example = known == nil ? #"{"role":"decode","address":"10.0.0.7:8200"}"# : #"{"role":"decode"}"#
    guard body.readableBytes <= 4096, let fields = try? BodyParser.parse(Array(body.readableBytesView)),
      case .object(let members) = fields
    else { throw .badRequest("The body must be like \(example).") }
    for key in members.keys where key != "role" && (key != "address" || known != nil) {
      throw .badValue("There is no such field. The body must be like \(example).", param: key)
    }
    guard let address = known ?? fields["address"]?.stringValue.flatMap({ WorkerAddress(parsing: $0) }) else {
      throw .badValue("The address must be HOST:PORT or http://HOST:PORT.", param: "address")
    }
    switch fields["role"]?.stringValue {
    case "prefill": endpoints = [WorkerEndpoint(.prefill, address)]
    case "decode": endpoints = [WorkerEndpoint(.decode, address)]
    case "both": endpoints = [WorkerEndpoint(.prefill, address), WorkerEndpoint(.decode, address)]
    default: throw .badValue("The role must be prefill, decode or both.", param: "role")
    }
  }
}

/// What may stand behind the `?` of `DELETE /admin/workers/HOST:PORT`.
package struct RemovalQuery: Equatable, Sendable {
  /// How long what runs on the worker may take to end.
  package var grace: Duration
  /// The one of a worker's roles that it is to lose; nil: all.
  package var role: WorkerRole?

  package init(_ query: String?, usual grace: Duration) throws(APIError) {
    self.grace = grace
    for field in (query ?? "").split(separator: "&") {
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = parts.count == 2 ? String(parts[1]) : ""
      switch parts[0] {
      case "grace":
        guard let seconds = Double(value), (0...86_400).contains(seconds) else {
          throw .badValue("grace must be from 0 to 86400 seconds.", param: "grace")
        }
        self.grace = .seconds(seconds)
      case "role":
        guard let role = WorkerRole(rawValue: value) else {
          throw .badValue("role must be prefill or decode.", param: "role")
        }
        self.role = role
      default: throw .badValue("There is no such parameter; grace and role are all.", param: String(parts[0]))
      }
    }
  }
}
