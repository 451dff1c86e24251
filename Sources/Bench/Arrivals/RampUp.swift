import Foundation

/// A rate that changes over a run, in requests/s, as `--ramp-up-*` say.
package struct RampUp: Sendable, Equatable {
  package enum Strategy: String, Sendable, CaseIterable {
    case linear
    case exponential
  }

  package var strategy: Strategy
  package var start: Int
  package var end: Int

  /// - Precondition: `start` and `end` are positive.
  package init(strategy: Strategy, start: Int, end: Int) {
    precondition(start > 0 && end > 0, "a ramp-up goes from one positive rate to another")
    self.strategy = strategy
    self.start = start
    self.end = end
  }

  /// The rate at the `index`th of `count` requests.
  package func rate(at index: Int, of count: Int) -> Double {
    let progress = Double(index) / Double(max(count - 1, 1))
    switch strategy {
    case .linear: return Double(start) + Double(end - start) * progress
    case .exponential: return Double(start) * pow(Double(end) / Double(start), progress)
    }
  }
}
