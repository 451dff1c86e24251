/// What the deployment did over the run's time, in bins of equal width. Takes records in any order.
package struct LoadCurves: Sendable {
  /// Seconds.
  package let binWidth: Double
  /// Requests that ended well, a second.
  package private(set) var requests: [Double]
  /// Requests that failed, a second.
  package private(set) var failures: [Double]
  /// A second.
  package private(set) var outputTokens: [Double]
  private var changes: [(time: Double, by: Int)] = []

  /// - Parameter duration: The run's, in seconds; what lies behind it is counted in the last bin.
  package init(duration: Double) {
    let isUsable = duration > 0 && duration.isFinite
    // Half a second at least, where the run lasts: a rate over less is noise.
    binWidth = isUsable ? max(Axis.step(for: duration, count: 120), min(0.5, Axis.step(for: duration, count: 10))) : 1
    let bins = isUsable ? max(1, Int((duration / binWidth).rounded(.up))) : 1
    requests = Array(repeating: 0, count: bins)
    failures = requests
    outputTokens = requests
  }

  package mutating func add(_ record: RequestRecord) {
    if let started = record.started, record.finished > started {
      changes += [(started, 1), (record.finished, -1)]
    }
    if record.outcome == .ok { requests[bin(record.finished)] += 1 / binWidth }
    if record.isFailure { failures[bin(record.finished)] += 1 / binWidth }
    // Each chunk stands for an equal part of the answer's tokens: it may hold several of them.
    guard let tokens = record.outputTokens, !record.chunkTimes.isEmpty else { return }
    let share = Double(tokens) / Double(record.chunkTimes.count) / binWidth
    for time in record.chunkTimes { outputTokens[bin(time)] += share }
  }

  /// Requests in flight: the most at any moment of each bin.
  package var concurrency: [Double] {
    var most = Array(repeating: 0.0, count: requests.count)
    var (running, last) = (0, 0)
    // An end counts before a start at the same moment: one after the other is not two at once.
    for change in changes.sorted(by: { ($0.time, $0.by) < ($1.time, $1.by) }) {
      let place = bin(change.time)
      if place > last {
        for index in (last + 1)...place { most[index] = Double(running) }
        last = place
      }
      running += change.by
      most[last] = max(most[last], Double(running))
    }
    return most
  }

  private func bin(_ time: Double) -> Int {
    let place = time / binWidth
    return place >= Double(requests.count) ? requests.count - 1 : place > 0 ? Int(place) : 0
  }
}
