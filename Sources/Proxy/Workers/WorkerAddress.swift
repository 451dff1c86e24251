/// Where a worker listens.
package struct WorkerAddress: Hashable, Sendable, CustomStringConvertible {
  package var host: String
  package var port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// `HOST:PORT`, `[IPv6]:PORT` or `http://HOST:PORT`: the host goes into a header field, so it must look like one.
  package init?(parsing text: String) {
    var rest = text[...]
    if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    guard let colon = rest.lastIndex(of: ":"), rest.utf8.count <= 270,
      case let digits = rest[rest.index(after: colon)...], digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = Int(digits), (1...65_535).contains(port)
    else { return nil }
    var host = rest[..<colon]
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if isBracketed { host = host.dropFirst().dropLast() }
    guard Self.isHost(host, mayHaveColons: isBracketed) else { return nil }
    self.init(host: String(host), port: port)
  }

  private static func isHost(_ text: Substring, mayHaveColons: Bool) -> Bool {
    !text.isEmpty
      && text.unicodeScalars.allSatisfy {
        $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || ".-_".unicodeScalars.contains($0))
          || mayHaveColons && ":%".unicodeScalars.contains($0)
      }
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// The example's four pairing rules: one host and one port, `count` workers: the ports count up; one host, many ports:
  /// each port; many hosts, one port: each host; many and many: one to one.
  ///
  /// - Parameter count: Decides in the first rule; in the others it must agree unless it is 1, the default.
  package static func pair(hosts: [String], ports: [Int], count: Int) throws(PairingError) -> [WorkerAddress] {
    guard !hosts.isEmpty, !ports.isEmpty, !hosts.contains("") else { throw .empty }
    guard count >= 0 else { throw .count(count) }
    let pairs: [WorkerAddress]
    switch (hosts.count, ports.count) {
    case (1, 1): pairs = (0..<min(count, 65_536)).map { WorkerAddress(host: hosts[0], port: ports[0] + $0) }
    case (1, _): pairs = ports.map { WorkerAddress(host: hosts[0], port: $0) }
    case (_, 1): pairs = hosts.map { WorkerAddress(host: $0, port: ports[0]) }
    case (let hostCount, let portCount):
      guard hostCount == portCount else { throw .lengths(hosts: hostCount, ports: portCount) }
      pairs = zip(hosts, ports).map { WorkerAddress(host: $0, port: $1) }
    }
    guard pairs.count == count || (count == 1 && pairs.count > 1) else { throw .wanted(count, named: pairs.count) }
    if let bad = pairs.first(where: { !(1...65_535).contains($0.port) }) { throw .port(bad.port) }
    return pairs
  }
}

package enum PairingError: Error, Equatable, CustomStringConvertible {
  case empty
  case count(Int)
  case lengths(hosts: Int, ports: Int)
  case wanted(Int, named: Int)
  case port(Int)

  package var description: String {
    switch self {
    case .empty: "A host or port is missing. Give at least one of each, separated by commas."
    case .count(let count): "\(count) is not a number of workers. Give 0 or more."
    case .lengths(let hosts, let ports):
      "\(hosts) hosts and \(ports) ports cannot be paired. Give one of either, or as many of both."
    case .wanted(let count, let named):
      "\(count) workers are wanted, but \(named) are named. Leave the number out, or name as many."
    case .port(let port): "\(port) is not a port. Ports are 1 to 65535; several workers count up from the first."
    }
  }
}
