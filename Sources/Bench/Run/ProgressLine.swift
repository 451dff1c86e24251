import Foundation

/// What a run says of itself while it runs: on a terminal one line that is written over, elsewhere a line now and then.
package struct ProgressLine: Sendable {
  private let total: Int
  private let isTerminal: Bool
  private var done = 0
  private var failed = 0
  private var ttftSum = 0.0
  private var ttftCount = 0
  private var lastShown = -Double.infinity

  private static let terminalInterval = 0.25
  private static let plainInterval = 10.0

  package init(total: Int, isTerminal: Bool) {
    self.total = total
    self.isTerminal = isTerminal
  }

  /// - Returns: What to write now, if anything.
  package mutating func take(_ event: RunEvent) -> String? {
    switch event {
    case .record(let record):
      done += 1
      if record.isFailure { failed += 1 }
      if let ttft = record.timeToFirstToken {
        ttftSum += ttft
        ttftCount += 1
      }
      return nil
    case .progress(let progress):
      guard progress.seconds - lastShown >= (isTerminal ? Self.terminalInterval : Self.plainInterval) else {
        return nil
      }
      // The first plain line comes after the first interval.
      if !isTerminal, lastShown < 0, progress.seconds < Self.plainInterval { return nil }
      lastShown = progress.seconds
      return isTerminal ? "\r\u{1B}[2K" + text(progress) : text(progress) + "\n"
    case .ended: return isTerminal ? "\r\u{1B}[2K" : nil
    }
  }

  private func text(_ progress: RunProgress) -> String {
    let rate = progress.seconds > 0 ? Double(done) / progress.seconds : 0
    let ttft = ttftCount > 0 ? String(format: "%.1f ms", ttftSum / Double(ttftCount) * 1000) : "–"
    return "\(done)/\(total) done, \(progress.inFlight) in flight, \(String(format: "%.1f", rate)) req/s, "
      + "mean TTFT \(ttft), \(failed) failed"
  }
}
