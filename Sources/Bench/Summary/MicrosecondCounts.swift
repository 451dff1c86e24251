/// How often each duration of whole microseconds came: exact for what is measured in them, and as small as the values
/// are few, where an hour's inter-token latencies would fill the memory.
package struct MicrosecondCounts: Sendable, Equatable {
  private var counts: [Int: Int] = [:]
  package private(set) var count = 0
  private var sum = 0

  package init() {}

  package mutating func add(seconds: Double) {
    let microseconds = Int((seconds * 1e6).rounded())
    counts[microseconds, default: 0] += 1
    count += 1
    sum += microseconds
  }

  package mutating func add(_ other: MicrosecondCounts) {
    counts.merge(other.counts, uniquingKeysWith: +)
    count += other.count
    sum += other.sum
  }

  /// In microseconds, as `standardDeviation` is.
  var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

  var standardDeviation: Double {
    guard count > 0 else { return 0 }
    let mean = mean
    let squares = counts.reduce(0.0) { $0 + Double($1.value) * (Double($1.key) - mean) * (Double($1.key) - mean) }
    return (squares / Double(count)).squareRoot()
  }

  /// For many questions about the order of the values.
  struct Cumulated {
    fileprivate var values: [Int]
    /// How many are at most as large as the value at the same place.
    fileprivate var upTo: [Int]

    /// The value at a place of the sorted list.
    func value(at place: Int) -> Int {
      var low = 0
      var high = upTo.count - 1
      while low < high {
        let middle = (low + high) / 2
        if upTo[middle] > place { high = middle } else { low = middle + 1 }
      }
      return values[low]
    }
  }

  func cumulated() -> Cumulated {
    let values = counts.keys.sorted()
    var total = 0
    let upTo = values.map { value in
      total += counts[value]!
      return total
    }
    return Cumulated(values: values, upTo: upTo)
  }
}
