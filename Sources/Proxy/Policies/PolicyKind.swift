/// The policies by name.
package enum PolicyKind: String, Sendable, CaseIterable {
  case roundRobin = "round-robin"
  case leastLoaded = "least-loaded"
  case powerOfTwo = "power-of-two"
  case prefixAware = "prefix-aware"
  case consistentHash = "consistent-hash"
  case random

  /// Also takes the names that vllm-router and sglang-router have for the same: `power_of_two`, `cache_aware`, ….
  package init?(named name: String) {
    switch name.replacing("_", with: "-") {
    case "cache-aware": self = .prefixAware
    case "consistent-hashing": self = .consistentHash
    case let name:
      guard let kind = PolicyKind(rawValue: name) else { return nil }
      self = kind
    }
  }

  /// - Parameter partners: How many workers of the other role the request may meet before; 0 if this leg is the first.
  package func policy(after partners: Int) -> any RoutingPolicy {
    switch self {
    case .roundRobin: RoundRobin(after: partners)
    case .leastLoaded: LeastLoaded()
    case .powerOfTwo: PowerOfTwo()
    case .prefixAware: PrefixAware()
    case .consistentHash: ConsistentHash()
    case .random: RandomWorker()
    }
  }
}
