/// Each worker in turn.
package struct RoundRobin: RoutingPolicy {
  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    loads.isEmpty ? nil : request.sequence % loads.count
  }

  /// The decode rotation's number of the request whose prefill rotation's number is `sequence`.
  ///
  /// Two rotations in step would meet in lcm(P, D) of the P·D pairs only. Each time that all of these had their turn the
  /// decoders' rotation skips one, so that every pair comes and both stay fair.
  package static func decodeSequence(_ sequence: Int, prefillers: Int, decoders: Int) -> Int {
    guard prefillers > 0, decoders > 0 else { return sequence }
    var (divisor, rest) = (prefillers, decoders)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return sequence + sequence / (prefillers / divisor * decoders)
  }
}
