import Synchronization

/// The ready endpoints of services, by a label selector for each role: listed once, then watched.
package struct KubernetesDiscovery: WorkerDiscovery {
  package struct Selector: Sendable {
    package var roles: [WorkerRole]
    /// Of labels of EndpointSlices, which have those of their service: `app.kubernetes.io/name=decoder`.
    package var labels: String

    package init(_ roles: [WorkerRole], _ labels: String) {
      self.roles = roles
      self.labels = labels
    }
  }

  /// After which the server ends a watch; the next one goes on where it ended.
  private static let watchTime = Duration.seconds(290)
  private let api: KubernetesAPI
  private let selectors: [Selector]
  private let portName: String
  private let backoff: Backoff

  /// - Parameter backoff: Between a failure and the next list.
  package init(_ api: KubernetesAPI, selectors: [Selector], portName: String = "http", backoff: Backoff = .discovery) {
    self.api = api
    self.selectors = selectors
    self.portName = portName
    self.backoff = backoff
  }

  package func run(_ report: @escaping @Sendable (Result<[WorkerEndpoint], DiscoveryError>) -> Void) async {
    let found = Found(selectors: selectors.count)
    await withTaskGroup(of: Void.self) { group in
      for (place, selector) in selectors.enumerated() {
        group.addTask {
          await follow(selector) { result in
            switch result {
            case .success(let addresses):
              let endpoints = selector.roles.flatMap { role in addresses.map { WorkerEndpoint(role, $0) } }
              found.set(place, endpoints) { report(.success($0)) }
            case .failure(let error): report(.failure(error))
            }
          }
        }
      }
    }
  }

  private func follow(
    _ selector: Selector, _ found: @escaping @Sendable (Result<[WorkerAddress], DiscoveryError>) -> Void
  ) async {
    var failures = 0
    while !Task.isCancelled {
      do {
        var slices = try await list(selector)
        found(.success(slices.addresses))
        failures = 0
        while !Task.isCancelled { slices = try await watch(selector, slices, found) }
      } catch let error as DiscoveryError {
        found(.failure(error))
      } catch is OutdatedWatch {
        // Nothing is wrong: the next list brings what was missed.
      } catch {
        if Task.isCancelled { return }
        found(.failure(.kubernetes(reason: "\(error)")))
      }
      failures += 1
      var dice = SystemRandomNumberGenerator()
      try? await Task.sleep(for: backoff.delay(attempt: failures, using: &dice))
    }
  }

  private func list(_ selector: Selector) async throws -> EndpointSlices {
    let body = SliceList()
    try await api.endpointSlices("labelSelector=\(Self.encoded(selector.labels))", idle: .seconds(30))
      .send { try body.take($0) }
    var slices = EndpointSlices(portName: portName)
    try slices.list(body.bytes)
    return slices
  }

  /// - Returns: The slices when the watch ended, as watches do from time to time; the next one goes on from there.
  private func watch(
    _ selector: Selector, _ slices: EndpointSlices,
    _ found: @escaping @Sendable (Result<[WorkerAddress], DiscoveryError>) -> Void
  ) async throws -> EndpointSlices {
    let watch = SliceWatch(slices) { found(.success($0)) }
    let query =
      "labelSelector=\(Self.encoded(selector.labels))&watch=1&allowWatchBookmarks=true"
      + "&timeoutSeconds=\(Self.watchTime.components.seconds)&resourceVersion=\(Self.encoded(slices.resourceVersion))"
    try await api.endpointSlices(query, idle: Self.watchTime + .seconds(30)).send { try watch.take($0) }
    return watch.slices
  }

  /// Percent-encodes all that is not unreserved (RFC 3986 §2.3).
  private static func encoded(_ text: String) -> String {
    text.utf8.reduce(into: "") { out, byte in
      let scalar = UnicodeScalar(byte)
      if scalar.isASCII, scalar.properties.isAlphabetic || "0123456789-._~".unicodeScalars.contains(scalar) {
        out.unicodeScalars.append(scalar)
      } else {
        out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
  }
}

/// What each selector found last; there is a list once all have. A `Mutex` guards it.
private final class Found: Sendable {
  private let lists: Mutex<[[WorkerEndpoint]?]>

  init(selectors: Int) { lists = Mutex(Array(repeating: nil, count: selectors)) }

  /// - Parameter report: Is called under the lock, so that an older list never comes after a newer one.
  func set(_ place: Int, _ endpoints: [WorkerEndpoint], report: ([WorkerEndpoint]) -> Void) {
    lists.withLock { lists in
      lists[place] = endpoints
      if lists.allSatisfy({ $0 != nil }) { report(lists.flatMap { $0 ?? [] }) }
    }
  }
}

extension Backoff {
  /// Of an API server that is away or refuses: from a second to half a minute.
  package static var discovery: Backoff {
    var backoff = Backoff()
    (backoff.first, backoff.longest) = (.seconds(1), .seconds(30))
    return backoff
  }
}
