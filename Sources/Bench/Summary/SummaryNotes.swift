import Foundation

/// What vLLM's table leaves out: who counted tokens, how late the client was, which requests failed and why.
package struct SummaryNotes {
  private let summary: RunSummary
  private let header: RunHeader

  package init(_ summary: RunSummary, header: RunHeader) {
    self.summary = summary
    self.header = header
  }

  package var text: String {
    var lines = [lag, tokens]
    if summary.cancelled > 0 { lines.append("Left by their client, or stopped with the run: \(summary.cancelled).") }
    lines += summary.failures.map(Self.explanation)
    return lines.joined(separator: "\n") + "\n"
  }

  /// Beyond a few milliseconds it is the client's machine that was measured.
  private var lag: String {
    let milliseconds = summary.clientLag.percentiles.first?.milliseconds ?? 0
    return "Client lag P99 (ms): " + String(format: "%.2f", milliseconds)
  }

  private var tokens: String {
    let counters = RequestRecord.TokenSource.allCases.compactMap { source in
      summary.tokenSources[source].map { count in
        switch source {
        case .usage: "the server's usage (\(count) requests)"
        case .tokenizer: "the local tokenizer (\(count))"
        case .chunks: "the chunks, a lower bound (\(count))"
        }
      }
    }
    return "Output tokens counted by: " + (counters.isEmpty ? "nobody" : counters.joined(separator: ", "))
  }

  private static func explanation(_ failure: RunSummary.Failure) -> String {
    let kind =
      switch failure.outcome {
      case .http: "HTTP \(failure.status ?? 0)"
      case .connect: "no connection"
      case .timeout: "timed out"
      case .broken: "broken answer"
      case .errorEvent: "error in the stream"
      case .ok, .cancelled: failure.outcome.rawValue
      }
    return "Failed: \(failure.count) × \(kind). The first: \(failure.firstError ?? "no reason given")"
  }
}
