/// Finds out which workers there are, for as long as the proxy runs.
package protocol WorkerDiscovery: Sendable {
  /// Reports the whole list each time that it was looked up or has changed, and every failure to do so, until the task is
  /// cancelled. A failure says nothing of the workers: those before it stay.
  func run(_ report: @escaping @Sendable (Result<[WorkerEndpoint], DiscoveryError>) -> Void) async
}

package enum DiscoveryError: Error, Equatable, CustomStringConvertible {
  case file(String, reason: String)
  case unresolved(host: String, reason: String)
  /// - Parameter reason: Names the server.
  case kubernetes(reason: String)
  case refused(status: Int)
  case malformed(reason: String)

  package var description: String {
    switch self {
    case .file(let path, let reason): "\(path) cannot be used: \(reason)"
    case .unresolved(let host, let reason):
      "\(host) cannot be resolved: \(reason). Name a host, or a headless service with ready endpoints."
    case .kubernetes(let reason): "\(reason). Check --service-discovery-api, and that the pod has a service account."
    case .refused(let status):
      "Kubernetes' API answered \(status). The service account must be allowed to list and watch "
        + "endpointslices in the namespace."
    case .malformed(let reason): "Kubernetes' API gave what is no list of EndpointSlices: \(reason)"
    }
  }
}
