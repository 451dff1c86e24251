/// Where a server that is no worker is reached: `https://10.96.0.1:443`, `http://collector:4318/v1/traces`.
package struct OutboundURL: Equatable, Sendable, CustomStringConvertible {
  package let isSecure: Bool
  package let address: WorkerAddress
  /// Begins with `/`, or is empty.
  package let path: String

  package init?(_ text: String) {
    let isSecure = text.hasPrefix("https://")
    guard isSecure || text.hasPrefix("http://"), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      return nil
    }
    let rest = text.dropFirst(isSecure ? 8 : 7)
    let authority = rest.prefix { $0 != "/" }
    let hasPort =
      authority.drop { $0 != "]" }.dropFirst().hasPrefix(":") || !authority.contains("]") && authority.contains(":")
    let whole = hasPort ? String(authority) : "\(authority):\(isSecure ? 443 : 80)"
    guard !rest.contains("?"), !rest.contains("#"), let address = WorkerAddress(parsing: whole) else { return nil }
    self.isSecure = isSecure
    self.address = address
    path = String(rest.dropFirst(authority.count))
  }

  package var description: String { "\(isSecure ? "https" : "http")://\(address)\(path)" }
}
