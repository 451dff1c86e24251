/// When requests are due. A pure function of the dice: the same seed gives the same schedule.
package enum ArrivalProcess: Sendable, Equatable {
  case allAtOnce
  /// Gaps are gamma distributed with shape `burstiness` (1: a Poisson process; more: more regular; infinite: even),
  /// then scaled so that the last of n requests is due at n/rate, as vLLM does it: seeds differ in order, not in load.
  case gamma(rate: Double, burstiness: Double)
  /// Gaps as above at a rate that changes, not scaled.
  case rampUp(RampUp, burstiness: Double)
  /// When the trace says, times `scale`: 0.5 is twice as fast.
  case recorded(scale: Double)

  /// - Precondition: rates, burstiness and scale are positive; `recorded` has a time for each request.
  /// - Returns: Seconds from the run's start, rising, one for each request.
  package func schedule(for workload: Workload, using dice: inout some RandomNumberGenerator) -> [Double] {
    let count = workload.requests.count
    switch self {
    case .allAtOnce: return Array(repeating: 0, count: count)
    case .gamma(let rate, let burstiness):
      let times = Self.cumulated(count, burstiness, using: &dice) { _ in rate }
      guard let last = times.last, last > 0 else { return times }
      let scale = Double(count) / rate / last
      return times.map { $0 * scale }
    case .rampUp(let ramp, let burstiness):
      return Self.cumulated(count, burstiness, using: &dice) { ramp.rate(at: $0, of: count) }
    case .recorded(let scale):
      return workload.requests.map { request in
        guard let time = request.recordedTime else { preconditionFailure("the workload has no times of its own") }
        return time * scale
      }
    }
  }

  private static func cumulated(
    _ count: Int, _ burstiness: Double, using dice: inout some RandomNumberGenerator, rate: (Int) -> Double
  ) -> [Double] {
    let gaps = GammaDistribution(shape: burstiness)
    var time = 0.0
    return (0..<count).map { index in
      // The mean gap is 1/rate whatever the shape.
      time += burstiness.isInfinite ? 1 / rate(index) : gaps.next(using: &dice) / (rate(index) * burstiness)
      return time
    }
  }
}
