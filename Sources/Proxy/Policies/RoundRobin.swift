/// Each worker in turn.
package struct RoundRobin: RoutingPolicy {
  private let partners: Int

  /// - Parameter partners: How many workers the request's other leg takes in turn; 0 if that is no matter.
  package init(after partners: Int = 0) { self.partners = partners }

  /// Two rotations in step would meet in lcm(P, D) of the P·D pairs only. Each time that all of these had their turn the
  /// one that runs after the other skips a worker, so that every pair comes and both stay fair.
  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    guard !loads.isEmpty else { return nil }
    guard partners > 0 else { return request.sequence % loads.count }
    var (divisor, rest) = (partners, loads.count)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    let skips = request.sequence / (partners / divisor * loads.count)
    return (request.sequence % loads.count + skips % loads.count) % loads.count
  }
}
