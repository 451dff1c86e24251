import Synchronization

/// A number that only grows.
package final class Counter: Sendable {
  private let storage = Mutex(0.0)

  package var value: Double { storage.withLock { $0 } }

  package func increment(by amount: Double = 1) { storage.withLock { $0 += amount } }
}

/// Observations counted by upper bound.
package final class Histogram: Sendable {
  package struct Snapshot: Sendable, Equatable {
    /// One count per bound and one for what lies above the last; not cumulative.
    package var counts: [Int]
    package var sum: Double
  }

  package let bounds: [Double]
  private let storage: Mutex<Snapshot>

  init(bounds: [Double]) {
    self.bounds = bounds
    storage = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
  }

  package var snapshot: Snapshot { storage.withLock { $0 } }

  /// A value equal to a bound counts under it, as Prometheus' `le` says.
  package func observe(_ value: Double) {
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    storage.withLock {
      $0.counts[bucket] += 1
      $0.sum += value
    }
  }

  package func observe(_ duration: Duration) { observe(duration / .seconds(1)) }
}
