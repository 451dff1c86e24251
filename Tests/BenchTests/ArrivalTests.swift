import Bench
import Testing

struct ArrivalTests {
  @Test(arguments: [1.0, 100, 0.3, .infinity], [0.5, 8])
  func `The last of n requests is due at n over rate, whatever the dice`(burstiness: Double, rate: Double) {
    for seed in UInt64(1)...20 {
      let times = schedule(.gamma(rate: rate, burstiness: burstiness), requests: 30, seed: seed)
      #expect(abs(times.last! - 30 / rate) < 1e-9)
      #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 } && times[0] >= 0)
    }
  }

  @Test func `The same seed gives the same schedule, another seed another`() {
    let arrivals = ArrivalProcess.gamma(rate: 3, burstiness: 1)
    #expect(schedule(arrivals, requests: 9, seed: 1) == schedule(arrivals, requests: 9, seed: 1))
    #expect(schedule(arrivals, requests: 9, seed: 1) != schedule(arrivals, requests: 9, seed: 2))
  }

  @Test(arguments: [0.25, 1, 4, 100])
  func `Gamma draws have the mean and the variance of their shape`(shape: Double) {
    let gamma = GammaDistribution(shape: shape)
    var dice = SeededDice(seed: 7)
    let draws = (0..<40_000).map { _ in gamma.next(using: &dice) }
    let mean = draws.reduce(0, +) / 40_000
    let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40_000
    #expect(abs(mean - shape) < 0.04 * shape)
    #expect(abs(variance - shape) < 0.08 * shape)
  }

  @Test func `Infinite burstiness is an even pace, and all at once is at 0`() {
    #expect(schedule(.gamma(rate: 2, burstiness: .infinity), requests: 4) == [0.5, 1, 1.5, 2])
    #expect(schedule(.allAtOnce, requests: 3) == [0, 0, 0])
  }

  @Test(arguments: [
    (RampUp.Strategy.linear, [2, 5, 8.0]), (.exponential, [2, 4, 8.0]),
  ])
  func `A ramp-up goes from its first rate to its last`(strategy: RampUp.Strategy, rates: [Double]) {
    let ramp = RampUp(strategy: strategy, start: 2, end: 8)
    #expect((0..<3).map { ramp.rate(at: $0, of: 3) } == rates)
    let times = schedule(.rampUp(ramp, burstiness: .infinity), requests: 3)
    let gaps = [times[0], times[1] - times[0], times[2] - times[1]]
    #expect(zip(gaps, rates).allSatisfy { abs($0 * $1 - 1) < 1e-9 })
  }

  @Test func `A trace keeps its times, scaled`() {
    #expect(schedule(.recorded(scale: 0.5), requests: 3) == [0, 1, 2])
  }

  private func schedule(_ arrivals: ArrivalProcess, requests: Int, seed: UInt64 = 1) -> [Double] {
    var dice = SeededDice(seed: seed)
    return arrivals.schedule(for: workload(requests), using: &dice)
  }

  private func workload(_ count: Int) -> Workload {
    let requests = (0..<count).map { index in
      var request = WorkloadRequest(text: "a", promptTokens: 1, outputTokens: 1)
      request.recordedTime = Double(index) * 2
      return request
    }
    return Workload(description: "", requests: requests, promptCounts: .exact)
  }
}
