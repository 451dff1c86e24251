/// A latency that reports tell: its key in flags and JSON, its name and its heading in the table, as vLLM has them.
package enum LatencyMetric: String, Sendable, CaseIterable {
  /// From due to the first chunk.
  case ttft
  /// (E2EL − TTFT) / (output tokens − 1), of requests with two tokens or more.
  case tpot
  /// Between two chunks.
  case itl
  /// From due to the last chunk.
  case e2el
  /// From schedule to sending.
  case clientQueueTime = "client_queue_time"
  /// From schedule to the last chunk.
  case e2elIncludingClientQueue = "e2el_including_client_queue"

  var name: String {
    switch self {
    case .ttft: "TTFT"
    case .tpot: "TPOT"
    case .itl: "ITL"
    case .e2el: "E2EL"
    case .clientQueueTime: "Client Queue Time"
    case .e2elIncludingClientQueue: "E2EL incl. Client Queue"
    }
  }

  var heading: String {
    switch self {
    case .ttft: "Time to First Token"
    case .tpot: "Time per Output Token (excl. 1st token)"
    case .itl: "Inter-token Latency"
    case .e2el: "End-to-end Latency"
    case .clientQueueTime: "Client-side Queueing"
    case .e2elIncludingClientQueue: "Queue-inclusive End-to-end Latency"
    }
  }
}

/// What a request must keep to be a good one: `ttft:500`.
package struct ServiceObjective: Sendable, Equatable {
  /// `ttft`, `tpot` or `e2el`.
  package var metric: LatencyMetric
  package var milliseconds: Double

  /// - Precondition: A request has one value of the metric.
  package init(_ metric: LatencyMetric, milliseconds: Double) {
    precondition(Self.metrics.contains(metric), "no request has one \(metric)")
    self.metric = metric
    self.milliseconds = milliseconds
  }

  package static let metrics: [LatencyMetric] = [.ttft, .tpot, .e2el]

  /// - Returns: nil if `text` is not `ttft:`, `tpot:` or `e2el:` and milliseconds.
  package init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let metric = LatencyMetric(rawValue: String(parts[0])), Self.metrics.contains(metric),
      let milliseconds = Double(parts[1]), milliseconds >= 0
    else { return nil }
    self.init(metric, milliseconds: milliseconds)
  }

  package var description: String { "\(metric.rawValue):\(milliseconds)" }
}

/// Which figures a report tells.
package struct ReportedFigures: Sendable, Equatable {
  package var metrics: [LatencyMetric] = [.ttft, .tpot, .itl]
  package var percentiles: [Double] = [99]
  package var objectives: [ServiceObjective] = []

  package init() {}
}
