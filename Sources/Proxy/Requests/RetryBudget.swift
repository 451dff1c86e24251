import NIOCore

/// How many retries may run at a time: a share of the running requests, so that a fleet in trouble does not get more work
/// than it had. Source: Envoy's retry budget, with its defaults.
package struct RetryBudget: Sendable {
  package var share = 0.2
  package var least = 3
  package private(set) var running = 0

  package init() {}

  /// - Returns: Whether one more may begin; then `end` must follow.
  package mutating func begin(activeRequests: Int) -> Bool {
    guard running < max(least, Int(share * Double(activeRequests))) else { return false }
    running += 1
    return true
  }

  package mutating func end() { running = max(0, running - 1) }
}

/// How long to wait before a retry: twice as long each time, up to a limit, and not all at the same moment.
package struct Backoff: Sendable {
  package var first = Duration.milliseconds(25)
  package var longest = Duration.milliseconds(250)

  package init() {}

  /// - Parameter attempt: From 1.
  /// - Returns: Between half the time and all of it.
  package func delay(attempt: Int, using dice: inout some RandomNumberGenerator) -> Duration {
    let whole = min(longest, first * (1 << min(max(0, attempt - 1), 16)))
    return whole / 2 + (whole / 2) * Double.random(in: 0...1, using: &dice)
  }
}
