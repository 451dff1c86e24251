/// What a policy may know of a worker.
package struct WorkerLoad: Sendable, Equatable {
  /// A hash of its role and address: the same in every proxy, in every list of workers.
  package var identity: UInt64
  /// Legs that run on it now.
  package var running: Int
  /// How much of the request's prompt, from its start, it has seen lately; in bytes.
  package var seenBytes: Int

  package init(identity: UInt64 = 0, running: Int, seenBytes: Int = 0) {
    self.identity = identity
    self.running = running
    self.seenBytes = seenBytes
  }
}

/// Picks a worker. A pure function of its arguments; prefillers and decoders are picked separately.
package protocol RoutingPolicy: Sendable {
  /// - Returns: An index into `loads`; nil only if `loads` is empty.
  func pick(from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator) -> Int?
}
