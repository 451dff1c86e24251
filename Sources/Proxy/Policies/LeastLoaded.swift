/// The worker with the fewest running legs; of several any one.
package struct LeastLoaded: RoutingPolicy {
  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    Self.pick(among: Array(loads.indices), of: loads, using: &rng)
  }

  /// - Parameter candidates: Indices into `loads`.
  static func pick(
    among candidates: [Int], of loads: [WorkerLoad], using rng: inout some RandomNumberGenerator
  ) -> Int? {
    guard let least = candidates.lazy.map({ loads[$0].running }).min() else { return nil }
    return candidates.filter { loads[$0].running == least }.randomElement(using: &rng)
  }
}
