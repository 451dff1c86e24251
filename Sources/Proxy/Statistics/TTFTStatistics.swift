import NIOCore
import Synchronization

/// Times to first token by the prefiller that they ran on: all are counted, the newest are kept for the percentiles.
/// A `Mutex` guards it.
package final class TTFTStatistics: Sendable {
  private struct State {
    var requests = 0
    var requestsReported = 0
    var samples: [[Double]]
    var next: [Int]
    var latest: (made: NIODeadline, report: TTFTReport)?

    mutating func makeRoom(for prefiller: Int) {
      let missing = max(0, prefiller + 1 - samples.count)
      samples += Array(repeating: [], count: missing)
      next += Array(repeating: 0, count: missing)
    }
  }

  static let mostSamples = 8192
  private let state: Mutex<State>

  package init(prefillers: Int) {
    state = Mutex(
      State(samples: Array(repeating: [], count: prefillers), next: Array(repeating: 0, count: prefillers)))
  }

  package func add(_ seconds: Double, prefiller: Int) {
    state.withLock { state in
      state.requests += 1
      state.makeRoom(for: prefiller)
      if state.samples[prefiller].count < Self.mostSamples {
        state.samples[prefiller].append(seconds * 1000)
      } else {
        state.samples[prefiller][state.next[prefiller]] = seconds * 1000
        state.next[prefiller] = (state.next[prefiller] + 1) % Self.mostSamples
      }
    }
  }

  /// The number has gone to another prefiller.
  func forget(prefiller: Int) {
    state.withLock { state in
      guard prefiller < state.samples.count else { return }
      state.samples[prefiller] = []
      state.next[prefiller] = 0
    }
  }

  /// - Returns: nil if there was no request since the last call.
  func reportIfNew() -> TTFTReport? {
    let taken: (Int, [[Double]])? = state.withLock { state in
      guard state.requests > state.requestsReported else { return nil }
      state.requestsReported = state.requests
      return (state.requests, state.samples)
    }
    return taken.map { TTFTReport(requests: $0.0, milliseconds: $0.1) }
  }

  /// At most a second old, because it sorts every sample, and whoever asks does so on an event loop.
  package func report(now: NIODeadline) -> TTFTReport {
    state.withLock { state in
      if let (made, report) = state.latest, now < made + .seconds(1) { return report }
      let report = TTFTReport(requests: state.requests, milliseconds: state.samples)
      state.latest = (now, report)
      return report
    }
  }
}
