/// The less loaded of two workers that chance names.
///
/// Proxies that share workers and not what they know of them do not all run to the same one, as they would with the least
/// loaded. Source: Mitzenmacher 2001, "The power of two choices in randomized load balancing".
package struct PowerOfTwo: RoutingPolicy {
  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    guard loads.count > 1 else { return loads.isEmpty ? nil : 0 }
    let first = Int.random(in: 0..<loads.count, using: &rng)
    let second = (first + Int.random(in: 1..<loads.count, using: &rng)) % loads.count
    return loads[second].running < loads[first].running ? second : first
  }
}

/// Any worker.
package struct RandomWorker: RoutingPolicy {
  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    loads.indices.randomElement(using: &rng)
  }
}
