/// The worker that has seen most of the prompt, as long as that does not overload it; else the least loaded.
///
/// A worker may have `slack` legs more than the least loaded one, or half as many again: a prefix that everybody sends is
/// then computed on a second worker, which has seen it from there on, and so on.
package struct PrefixAware: RoutingPolicy {
  /// Legs by which a worker may be ahead of the least loaded one.
  package static let slack = 8
  /// Less of a prompt than this is no reason to prefer a worker: a system prompt that all requests share would pull
  /// everything to the first that saw it.
  package static let leastShare = 0.3

  package init() {}

  package func pick(
    from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator
  ) -> Int? {
    guard let least = loads.lazy.map(\.running).min() else { return nil }
    let most = max(least + Self.slack, least + least / 2)
    let candidates = loads.indices.filter { loads[$0].running <= most }
    let longest = candidates.lazy.map { loads[$0].seenBytes }.max() ?? 0
    guard longest > 0, Double(longest) >= Self.leastShare * Double(request.prompt.bytes) else {
      return LeastLoaded.pick(among: candidates, of: loads, using: &rng)
    }
    return LeastLoaded.pick(among: candidates.filter { loads[$0].seenBytes == longest }, of: loads, using: &rng)
  }
}
