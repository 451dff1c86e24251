import NIOCore

/// Sends the workload's first request again and again until it is answered.
///
/// - Throws: `BenchError.notReady` if that takes longer than `seconds`; `CancellationError`.
package func waitUntilReady(
  _ workload: Workload, against target: Target, options: RunOptions, seconds: Double
) async throws {
  var options = options
  options.arrivals = .allAtOnce
  options.maxConcurrency = nil
  options.cancellationRate = 0
  options.slowReaderRate = 0
  let clock = ContinuousClock()
  let deadline = clock.now + .seconds(seconds)
  var probe = workload
  probe.requests = Array(workload.requests.prefix(1))
  while true {
    let left = max(.milliseconds(100), clock.now.duration(to: deadline))
    options.requestTimeout = .nanoseconds(Int64(left / .nanoseconds(1)))
    let record = try await benchmark(probe, against: target, options: options)[0]
    try Task.checkCancellation()
    if record.outcome == .ok { return }
    guard clock.now + .seconds(1) < deadline else {
      throw BenchError.notReady(url: target.url, seconds: seconds, lastError: record.error ?? record.outcome.rawValue)
    }
    try await Task.sleep(for: .seconds(1))
  }
}

/// Sends the workload's first request `count` times, as many at once as the run will, and forgets the answers.
package func warmUp(_ count: Int, _ workload: Workload, against target: Target, options: RunOptions) async throws {
  guard count > 0, let first = workload.requests.first else { return }
  var options = options
  options.arrivals = .allAtOnce
  options.cancellationRate = 0
  options.slowReaderRate = 0
  options.requestIDPrefix += "warmup-"
  var warmup = workload
  warmup.requests = Array(repeating: first, count: count)
  _ = try await benchmark(warmup, against: target, options: options)
}
