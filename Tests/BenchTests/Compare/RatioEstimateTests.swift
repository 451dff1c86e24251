import Bench
import Foundation
import TestSupport
import Testing

struct RatioEstimateTests {
  private func rounds(_ pairs: [(Double, Double)]) -> [(a: Double?, b: Double?)] { pairs.map { (a: $0.0, b: $0.1) } }

  @Test func `The ratio is the geometric mean, with Student's interval`() throws {
    // Of the logarithms: mean ± 4.604095 · s / √5, the quantile of four degrees of freedom.
    let estimate = try #require(
      RatioEstimate(rounds: rounds([(10, 20), (10, 22), (10, 19), (10, 21), (10, 20)])))
    #expect(abs(estimate.ratio - 2.03746) < 1e-4)
    let interval = try #require(estimate.interval)
    #expect(abs(interval.lowerBound - 1.81701) < 2e-5 && abs(interval.upperBound - 2.28468) < 2e-5)
    #expect(abs(estimate.range.lowerBound - 1.9) < 1e-9 && abs(estimate.range.upperBound - 2.2) < 1e-9)
  }

  @Test func `One round has a ratio but no interval`() throws {
    let estimate = try #require(RatioEstimate(rounds: rounds([(4, 2)])))
    #expect(estimate.ratio == 0.5)
    #expect(estimate.interval == nil)
    #expect(estimate.difference(least: 0.01) == .none)
  }

  @Test func `Rounds without a positive figure on both sides do not count`() throws {
    #expect(RatioEstimate(rounds: []) == nil)
    #expect(RatioEstimate(rounds: [(a: nil, b: 1), (a: 0, b: 1), (a: 1, b: -1), (a: 1, b: .nan)]) == nil)
    let estimate = RatioEstimate(rounds: [(a: 1, b: 2), (a: nil, b: 9), (a: 1, b: .infinity), (a: 1, b: 2)])
    #expect(try #require(estimate).ratio == 2)
  }

  @Test(arguments: [
    ([(10, 12), (10, 12.1), (10, 11.9)], RatioEstimate.Difference.larger),
    ([(12, 10), (12.1, 10), (11.9, 10)], .smaller),
    // Two rounds of the same sign prove little.
    ([(10, 12), (10, 14)], .none),
    ([(10, 12), (10, 9), (10, 11)], .none),
    // Sure, but too small to matter.
    ([(1000, 1005), (1000, 1005.1), (1000, 1004.9)], .none),
  ])
  func `A difference is told beyond the noise only`(pairs: [(Double, Double)], expected: RatioEstimate.Difference)
    throws
  {
    #expect(try #require(RatioEstimate(rounds: rounds(pairs))).difference(least: 0.01) == expected)
  }

  @Test func `Two that are equal are told apart about once in a hundred`() throws {
    var dice = SplitMix64(seed: 7)
    func noisy() -> Double { 100 * exp((0..<12).reduce(-6) { sum, _ in sum + .random(in: 0..<1, using: &dice) } * 0.1) }
    let wrong = try (0..<2000).count { _ in
      let estimate = RatioEstimate(rounds: (0..<5).map { _ in (a: noisy(), b: noisy()) })
      return try #require(estimate).difference(least: 0) != .none
    }
    #expect((5...40).contains(wrong))
  }
}
