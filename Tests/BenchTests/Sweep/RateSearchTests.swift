import Bench
import TestSupport
import Testing

struct RateSearchTests {
  /// Runs a search against a deployment whose attainment is a function of the rate.
  private func search(
    _ limits: RateSearch.Limits, secondsAPoint: Double = 0, attainment: (Double) -> Double
  ) -> (result: RateSearch.Result, rates: [Double]) {
    var search = RateSearch(limits)
    var rates: [Double] = []
    while case .measure(let rate, _) = search.next, rates.count < 200 {
      rates.append(rate)
      search.record(attainment: attainment(rate), seconds: secondsAPoint)
    }
    guard case .done(let result) = search.next else {
      Issue.record("no end after \(rates.count) points")
      return (RateSearch.Result(passed: nil, failed: nil, end: .outOfTime), rates)
    }
    return (result, rates)
  }

  @Test(arguments: [0.11, 0.9, 1, 1.01, 3.7, 64, 999], [0.02, 0.05, 0.3])
  func `The knee is found as precisely as was asked`(knee: Double, precision: Double) throws {
    var limits = RateSearch.Limits()
    limits.precision = precision
    let (result, rates) = search(limits) { $0 <= knee ? 1 : 0 }
    #expect(result.end == .precise)
    let passed = try #require(result.passed)
    let failed = try #require(result.failed)
    #expect(passed <= knee && knee < failed)
    #expect(failed <= passed * (1 + precision) * 1.0001)
    #expect(rates.contains(passed) && rates.contains(failed))
    #expect(rates.count < 20)
  }

  @Test func `The rate doubles until it fails, then halves the interval`() {
    var limits = RateSearch.Limits()
    limits.precision = 0.2
    let (result, rates) = search(limits) { $0 <= 5 ? 1 : 0 }
    #expect(rates == [1, 2, 4, 8, 5.66, 4.76])
    #expect(result == RateSearch.Result(passed: 4.76, failed: 5.66, end: .precise))
  }

  @Test func `What never fails ends at the highest rate`() {
    var limits = RateSearch.Limits()
    limits.highest = 10
    let (result, rates) = search(limits) { _ in 1 }
    #expect(rates == [1, 2, 4, 8, 10])
    #expect(result == RateSearch.Result(passed: 10, failed: nil, end: .neverFailed))
  }

  @Test func `What never passes ends at the lowest rate`() {
    var limits = RateSearch.Limits()
    limits.lowest = 0.3
    let (result, rates) = search(limits) { _ in 0 }
    #expect(rates == [1, 0.5, 0.3])
    #expect(result == RateSearch.Result(passed: nil, failed: 0.3, end: .neverPassed))
  }

  @Test func `Exactly the goal is a pass`() {
    var limits = RateSearch.Limits()
    limits.highest = 1
    #expect(search(limits) { _ in 0.9 }.result.passed == 1)
  }

  @Test func `A rate near the goal is measured again and judged by its mean`() {
    var limits = RateSearch.Limits()
    limits.highest = 1
    limits.lowest = 1
    var noisy = [0.88, 0.92, 0.93].makeIterator()
    let (result, rates) = search(limits) { _ in noisy.next()! }
    #expect(rates == [1, 1, 1])
    #expect(result.passed == 1)
    var clear = [0.5].makeIterator()
    #expect(search(limits) { _ in clear.next()! }.rates == [1])
  }

  @Test(arguments: 0..<40 as Range<UInt64>)
  func `Noise moves the result little`(seed: UInt64) throws {
    var dice = SplitMix64(seed: seed)
    var limits = RateSearch.Limits()
    limits.precision = 0.05
    // 100 requests a point; each meets the SLO with a chance that falls from 1 to 0 around a rate of 21, 0.9 at 20.
    let (result, _) = search(limits) { rate in
      let chance = min(max(0.9 + (20 - rate) * 0.05, 0), 1)
      return Double((0..<100).count { _ in Double.random(in: 0..<1, using: &dice) < chance }) / 100
    }
    let passed = try #require(result.passed)
    #expect(passed > 17 && passed < 22.5)
    #expect(try #require(result.failed) <= passed * 1.0501)
  }

  @Test func `No point is begun that does not fit into the budget`() {
    var limits = RateSearch.Limits()
    limits.timeBudget = 125
    let (result, rates) = search(limits, secondsAPoint: 35) { $0 <= 1.5 ? 1 : 0 }
    // The first point has 50 requests, so 50 s of arrivals; after three points 105 s are gone.
    #expect(rates == [1, 2, 1.41])
    #expect(result == RateSearch.Result(passed: 1.41, failed: 2, end: .outOfTime))
  }

  @Test func `A budget for nothing measures nothing`() {
    var limits = RateSearch.Limits()
    limits.timeBudget = 1
    let (result, rates) = search(limits) { _ in 1 }
    #expect(rates.isEmpty)
    #expect(result == RateSearch.Result(passed: nil, failed: nil, end: .outOfTime))
  }

  @Test func `A precision that three digits cannot show ends the search`() {
    var limits = RateSearch.Limits()
    limits.precision = 1e-9
    let (result, rates) = search(limits) { $0 <= 1.234567 ? 1 : 0 }
    #expect(result == RateSearch.Result(passed: 1.23, failed: 1.24, end: .precise))
    #expect(rates.count < 20)
  }

  @Test(arguments: [(0.1, 50), (1, 50), (2, 60), (1.67, 51), (30, 900), (100, 1000), (1e300, 1000)])
  func `A point has enough requests and lasts long enough`(rate: Double, requests: Int) {
    #expect(RateSearch.Limits().requests(at: rate) == requests)
  }
}
