/// A workload with its schedule and its clients' manners: all that the dice decide, before the first request is sent.
struct RunPlan: Sendable {
  let workload: Workload
  let target: Target
  let options: RunOptions
  /// Seconds from the run's start, rising.
  let schedule: [Double]
  /// Of the clients that are not ordinary.
  private let manners: [Int: Flight.Manners]

  init(_ workload: Workload, target: Target, options: RunOptions) {
    self.workload = workload
    self.target = target
    self.options = options
    var dice = SeededDice(seed: options.seed)
    // To the microsecond, as all times of a record.
    schedule = options.arrivals.schedule(for: workload, using: &dice).map { ($0 * 1e6).rounded() / 1e6 }
    var manners: [Int: Flight.Manners] = [:]
    if options.cancellationRate > 0 || options.slowReaderRate > 0 {
      for (index, request) in workload.requests.enumerated() {
        let its = Self.manners(of: request, options, using: &dice)
        if its != Flight.Manners() { manners[index] = its }
      }
    }
    self.manners = manners
  }

  func manners(of index: Int) -> Flight.Manners { manners[index] ?? Flight.Manners() }

  /// A client that leaves does so after any number of chunks that is less than all, 0 among them.
  static func manners(
    of request: WorkloadRequest, _ options: RunOptions, using dice: inout some RandomNumberGenerator
  ) -> Flight.Manners {
    var manners = Flight.Manners()
    if Double.random(in: 0..<1, using: &dice) < options.cancellationRate {
      manners.leavesAfterChunks = Int.random(in: 0..<max(1, request.outputTokens ?? 16), using: &dice)
    }
    manners.readsSlowly = Double.random(in: 0..<1, using: &dice) < options.slowReaderRate
    return manners
  }
}
