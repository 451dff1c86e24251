/// What a request of the timeline waited for, and when it streamed.
package struct TimelineRow: Sendable {
  /// The order is that of the legend.
  package enum Phase: String, CaseIterable, Sendable {
    case held, lag, queue, prefill, transfer, wait, stream, failed

    var name: String {
      switch self {
      case .held: "held by --max-concurrency"
      case .lag: "client late"
      case .queue: "queued"
      case .prefill: "prefill"
      case .transfer: "KV transfer"
      case .wait: "wait for the first token"
      case .stream: "decode, stream"
      case .failed: "failed"
      }
    }
  }

  package struct Span: Equatable, Sendable {
    package var phase: Phase
    /// Seconds since the run's start.
    package var start: Double
    package var end: Double
  }

  /// Ascending, without overlap.
  package private(set) var spans: [Span]
  /// What hovering shows.
  package let detail: String

  package init(_ record: RequestRecord) {
    var spans = Spans(at: record.scheduled)
    spans.go(to: record.heldUntil, .held)
    // A lag below a millisecond is no finding; the next span then begins a little earlier.
    if record.started.map({ $0 - record.due >= 0.001 }) == true { spans.go(to: record.started, .lag) }
    if let timing = record.timing {
      // The server's spans have no common clock with ours: they are laid one after another from the sending.
      let limit = record.firstToken ?? record.finished
      for (span, phase) in [(timing.queue, Phase.queue), (timing.prefill, .prefill), (timing.transfer, .transfer)] {
        spans.go(to: span.map { min(spans.time + max($0, 0), limit) }, phase)
      }
    }
    spans.go(to: record.firstToken, .wait)
    let isWaiting = record.firstToken == nil
    spans.go(to: record.finished, record.isFailure ? .failed : isWaiting ? .wait : .stream)
    self.spans = spans.all
    detail = Self.detail(record)
  }

  /// The same with time counted from when the request was scheduled.
  package var fromSchedule: TimelineRow {
    var row = self
    let start = spans.first?.start ?? 0
    row.spans = spans.map { Span(phase: $0.phase, start: $0.start - start, end: $0.end - start) }
    return row
  }

  private struct Spans {
    var time: Double
    var all: [Span] = []

    init(at start: Double) { time = start }

    mutating func go(to end: Double?, _ phase: Phase) {
      guard let end, end > time else { return }
      all.append(Span(phase: phase, start: time, end: end))
      time = end
    }
  }

  private static func detail(_ record: RequestRecord) -> String {
    var parts = ["request \(record.index)", "due at \(Quantity.time(record.due))"]
    if let lag = record.clientLag, lag >= 0.001 { parts.append("sent \(Quantity.time(lag)) late") }
    if let ttft = record.timeToFirstToken { parts.append("TTFT \(Quantity.time(ttft))") }
    if let latency = record.endToEndLatency { parts.append("E2E \(Quantity.time(latency))") }
    if let tokens = record.promptTokens { parts.append("\(Quantity.count(tokens)) tokens in") }
    if let tokens = record.outputTokens { parts.append("\(Quantity.count(tokens)) out") }
    if let timing = record.timing { parts += detail(timing) }
    if record.outcome != .ok { parts.append(record.outcome.rawValue + (record.status.map { " \($0)" } ?? "")) }
    if let error = record.error { parts.append(error) }
    return parts.joined(separator: "\n")
  }

  private static func detail(_ timing: ServerTiming) -> [String] {
    let spans = [
      ("queue", timing.queue), ("prefill", timing.prefill), ("transfer", timing.transfer), ("decode", timing.decode),
    ]
    return [timing.prefiller.map { "prefiller \($0)" }, timing.decoder.map { "decoder \($0)" }].compactMap(\.self)
      + spans.compactMap { name, seconds in seconds.map { "\(name) \(Quantity.time($0))" } }
  }
}
