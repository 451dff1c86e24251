import ServingAPI

/// What one request of a run asked, got and took: one line of the raw file. Times are seconds since the run's start,
/// to the microsecond, and nil if the moment never came.
package struct RequestRecord: Sendable, Equatable {
  /// Its place in the workload, from 0.
  package var index: Int
  /// When the arrival process wanted it sent.
  package var scheduled: Double
  /// When `--max-concurrency` let it go, if it held it back.
  package var heldUntil: Double?
  /// When its first byte was written, or tried to be.
  package var started: Double?
  /// When the first chunk with a choice was read.
  package var firstToken: Double?
  /// When its answer had ended, or it was given up.
  package var finished: Double
  /// When each chunk with a choice was read; the first is `firstToken`.
  package var chunkTimes: [Double] = []
  package var promptTokens: Int?
  package var outputTokens: Int?
  /// Who counted `outputTokens`.
  package var tokenSource: TokenSource?
  /// Of the HTTP answer.
  package var status: Int?
  package var outcome: Outcome
  /// The first words of what went wrong.
  package var error: String?
  package var requestID: String?
  /// What the server told of the request's way, if it did.
  package var timing: ServerTiming?
  /// Requests of one session share a conversation or a prefix.
  package var session: String?
  /// Whether the client read on purpose more slowly than the answer came: its latencies say nothing of the server.
  package var isSlowReader = false
  /// What was generated, where the run was told to keep it.
  package var text: String?

  package init(index: Int, scheduled: Double, finished: Double, outcome: Outcome) {
    self.index = index
    self.scheduled = scheduled
    self.finished = finished
    self.outcome = outcome
  }

  package enum TokenSource: String, Sendable, CaseIterable {
    /// Our own tokenizer, from the text that came.
    case tokenizer
    /// The server's `usage`.
    case usage
    /// One chunk, one token: a lower bound.
    case chunks
  }

  package enum Outcome: String, Sendable, CaseIterable {
    case ok
    /// The status was not 200.
    case http
    case connect
    case timeout
    /// The answer ended early, or was no HTTP or no event stream.
    case broken
    /// The stream carried an error event.
    case errorEvent = "error_event"
    /// The client left on purpose.
    case cancelled
  }
}

extension RequestRecord {
  /// From here every latency counts: when the request should have left. What the client was late by is a part of them.
  package var due: Double { heldUntil ?? scheduled }
  /// By how much the client sent late, for want of time and not by intent.
  package var clientLag: Double? { started.map { $0 - due } }
  package var timeToFirstToken: Double? { firstToken.map { $0 - due } }
  /// To the last chunk with a choice, as vLLM has it; what comes after it (usage, end of stream) carries no token.
  package var endToEndLatency: Double? { chunkTimes.last.map { $0 - due } }
  /// From schedule to first byte: what `--max-concurrency` held it back, and the lag.
  package var clientQueueTime: Double? { started.map { $0 - scheduled } }
  package var isFailure: Bool { outcome != .ok && outcome != .cancelled }
}

/// Where a request was and for how long, as a server tells it. Spans in seconds.
package struct ServerTiming: Sendable, Equatable {
  package var prefiller: String?
  package var decoder: String?
  package var queue: Double?
  package var prefill: Double?
  package var transfer: Double?
  package var decode: Double?

  package init() {}
}
