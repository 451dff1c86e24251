import ServingAPI

/// The EndpointSlices of one selector as the API server told of them: a list, then what changed since.
///
/// Source: Kubernetes API, discovery.k8s.io/v1; "Efficient detection of changes".
package struct EndpointSlices: Sendable {
  package enum Change: Equatable, Sendable {
    case taken
    /// The server no longer knows what happened since: a new list is needed.
    case outdated
  }

  private struct Slice {
    var isIPv4: Bool
    var addresses: [WorkerAddress]
  }

  /// From where on changes are asked for; opaque.
  package private(set) var resourceVersion = ""
  private let portName: String
  private var slices: [String: Slice] = [:]

  /// - Parameter portName: The service's port that is meant; if none has the name, its first one.
  package init(portName: String) { self.portName = portName }

  /// Who is ready, each once, in a fixed order. IPv4 if there is any, so that a pod with two addresses is one worker.
  package var addresses: [WorkerAddress] {
    let ipv4 = slices.values.filter { $0.isIPv4 && !$0.addresses.isEmpty }
    let used = ipv4.isEmpty ? Array(slices.values) : ipv4
    return Set(used.flatMap(\.addresses)).sorted { ($0.host, $0.port) < ($1.host, $1.port) }
  }

  /// Begins anew with a list.
  package mutating func list(_ body: [UInt8]) throws(DiscoveryError) {
    guard let page = try? BodyParser.parse(body), let items = page["items"]?.arrayValue,
      let version = page["metadata"]?["resourceVersion"]?.stringValue
    else { throw .malformed(reason: "there are no items, or no resourceVersion") }
    resourceVersion = version
    slices = [:]
    for item in items { take(item) }
  }

  /// - Parameter line: One event of a watch.
  package mutating func changed(_ line: [UInt8]) throws(DiscoveryError) -> Change {
    guard let event = try? BodyParser.parse(line), let type = event["type"]?.stringValue,
      let object = event["object"]
    else { throw .malformed(reason: "an event has no type, or no object") }
    switch type {
    case "ADDED", "MODIFIED": take(object)
    case "DELETED": if let name = object["metadata"]?["name"]?.stringValue { slices[name] = nil }
    case "ERROR":
      if object["code"] == 410 { return .outdated }
      throw .malformed(reason: object["message"]?.stringValue ?? "an event of type ERROR")
    default: break
    }
    if let version = object["metadata"]?["resourceVersion"]?.stringValue { resourceVersion = version }
    return .taken
  }

  private mutating func take(_ object: BodyValue) {
    guard let name = object["metadata"]?["name"]?.stringValue else { return }
    let endpoints = object["endpoints"]?.arrayValue ?? []
    slices[name] = Slice(
      isIPv4: object["addressType"] == "IPv4",
      addresses: port(of: object).map { port in
        endpoints.filter(Self.isReady).compactMap { Self.address($0, port) }
      } ?? [])
  }

  private func port(of object: BodyValue) -> Int? {
    let ports = object["ports"]?.arrayValue ?? []
    let port = ports.first { $0["name"]?.stringValue == portName } ?? ports.first
    guard case .integer(let number)? = port?["port"] else { return nil }
    return Int(exactly: number)
  }

  /// A condition that is not told counts as met, but for the end of a pod's life.
  private static func isReady(_ endpoint: BodyValue) -> Bool {
    let conditions = endpoint["conditions"]
    return conditions?["ready"] != false && conditions?["terminating"] != true
  }

  /// All addresses of an endpoint are the same pod's: clients use the first.
  private static func address(_ endpoint: BodyValue, _ port: Int) -> WorkerAddress? {
    guard let host = endpoint["addresses"]?.arrayValue?.first?.stringValue else { return nil }
    // Through the parser, because it goes into a header field.
    return WorkerAddress(parsing: WorkerAddress(host: host, port: port).description)
  }
}
