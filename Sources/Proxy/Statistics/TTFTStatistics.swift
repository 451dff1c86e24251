import Synchronization

/// Times to first token by the prefiller that they ran on: all are counted, the newest are kept for the percentiles.
/// A `Mutex` guards it.
final class TTFTStatistics: Sendable {
  private struct State {
    var requests = 0
    var requestsReported = 0
    var samples: [[Double]]
    var next: [Int]
  }

  static let mostSamples = 8192
  private let state: Mutex<State>

  init(prefillers: Int) {
    state = Mutex(
      State(samples: Array(repeating: [], count: prefillers), next: Array(repeating: 0, count: prefillers)))
  }

  func add(_ seconds: Double, prefiller: Int) {
    state.withLock { state in
      state.requests += 1
      if state.samples[prefiller].count < Self.mostSamples {
        state.samples[prefiller].append(seconds * 1000)
      } else {
        state.samples[prefiller][state.next[prefiller]] = seconds * 1000
        state.next[prefiller] = (state.next[prefiller] + 1) % Self.mostSamples
      }
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

  var report: TTFTReport {
    let (requests, samples) = state.withLock { ($0.requests, $0.samples) }
    return TTFTReport(requests: requests, milliseconds: samples)
  }
}
