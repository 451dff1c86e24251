/// A session's requests go to one worker; a request that names no session goes to the least loaded.
///
/// Every worker draws a number for the session, and the highest wins: proxies agree without talking, a worker that leaves
/// moves only its own sessions, and one that comes takes its share from each of the others.
/// Source: Thaler & Ravishankar 1998, "Using name-based mappings to increase hit rates" (rendezvous hashing).
package struct ConsistentHash: RoutingPolicy {
  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    guard let session = request.session else {
      return LeastLoaded().pick(from: loads, for: request, using: &rng)
    }
    return loads.indices.max { Self.draw(loads[$0], session) < Self.draw(loads[$1], session) }
  }

  private static func draw(_ worker: WorkerLoad, _ session: UInt64) -> (UInt64, UInt64) {
    (StableHash.mix(worker.identity ^ session), worker.identity)
  }
}
