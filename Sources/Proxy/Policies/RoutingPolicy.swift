/// What a policy may know of a worker.
package struct WorkerLoad: Sendable, Equatable {
  /// Legs that run on it now.
  package var running: Int

  package init(running: Int) { self.running = running }
}

/// What a policy may know of a request.
package struct RequestShape: Sendable, Equatable {
  /// Its number in the order of arrival, from 0.
  package var sequence: Int

  package init(sequence: Int) { self.sequence = sequence }
}

/// Picks a worker. A pure function of its arguments; prefillers and decoders are picked separately.
package protocol RoutingPolicy: Sendable {
  /// - Returns: An index into `loads`; nil only if `loads` is empty.
  func pick(from loads: [WorkerLoad], for request: RequestShape, using rng: inout some RandomNumberGenerator) -> Int?
}
