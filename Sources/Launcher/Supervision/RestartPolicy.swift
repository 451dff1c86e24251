/// How often, and after how long, a process that died is started again.
package struct RestartPolicy: Equatable, Sendable {
  /// In a row; one that has been ready for `settle` begins a new row.
  package var limit: Int
  /// Before the first restart of a row; doubled for each more.
  package var backoff: Duration
  package var backoffLimit: Duration
  package var settle = Duration.seconds(60)

  package init(limit: Int, backoff: Duration, backoffLimit: Duration) {
    self.limit = limit
    self.backoff = backoff
    self.backoffLimit = backoffLimit
  }

  /// - Parameter deaths: In this row, from 1.
  /// - Returns: nil if it has died too often.
  package func pause(afterDeath deaths: Int) -> Duration? {
    guard deaths <= limit else { return nil }
    var pause = min(backoff, backoffLimit)
    for _ in 1..<max(1, deaths) where pause < backoffLimit { pause = min(pause * 2, backoffLimit) }
    return pause
  }
}
