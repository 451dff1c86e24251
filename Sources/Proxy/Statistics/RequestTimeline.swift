import NIOCore

/// What happened to one request, and when: the exchange fills it in, and metrics, access log and `x-xpyd-timing` read it.
///
/// Instants are monotonic; nil is what has not happened. A leg that was run again has its last try's instants.
package struct RequestTimeline: Sendable, Equatable {
  /// Why a decoder prefilled a request itself that a prefiller was to prefill; a closed set, for a metric's label.
  package enum Fallback: String, Sendable, CaseIterable {
    case noPrefiller = "no_prefiller"
    case prefillFailed = "prefill_failed"
    case noHandoff = "no_handoff"
    case handoffFailed = "handoff_failed"
    /// Too many prefills are being tried again.
    case retryBudget = "retry_budget"
  }

  /// The request's first byte was read.
  package let received: NIODeadline
  /// Its turn came in the queue; equal to `received` but for the parsing if there was none.
  package var admitted: NIODeadline?
  package var prefillStarted: NIODeadline?
  package var prefillEnded: NIODeadline?
  package var decodeStarted: NIODeadline?
  /// The first event of a stream, else the prefiller's answer, which holds the first token.
  package var firstToken: NIODeadline?
  /// The newest part of a streamed answer.
  package private(set) var lastToken: NIODeadline?
  package var ended: NIODeadline?

  /// Places among the workers of their role, from 0, of those that did the work in the end.
  package var prefiller: Int?
  package var decoder: Int?

  package var prefillRetries = 0
  /// Before the first token.
  package var decoderReplacements = 0
  /// After it.
  package var migrations = 0
  /// Whether there was to be a prefill leg; nil if there was no choice.
  package var decision: DisaggregationDecision?
  package var fallback: Fallback?

  package init(received: NIODeadline) { self.received = received }

  /// A part of a streamed answer came, the first one too.
  ///
  /// - Returns: The time since the part before it; nil for the first.
  package mutating func tokensCame(at now: NIODeadline) -> TimeAmount? {
    defer { lastToken = now }
    if firstToken == nil { firstToken = now }
    return lastToken.map { now - $0 }
  }
}

extension RequestTimeline {
  package var timeToFirstToken: TimeAmount? { firstToken.map { $0 - received } }
  package var queueTime: TimeAmount? { admitted.map { $0 - received } }
  package var prefillTime: TimeAmount? { Self.span(prefillStarted, prefillEnded) }
  /// From the prefill's end, or the decode leg's start if that was later, to the first token: what is left of the transfer,
  /// and the decoder's first step. Only of a streamed answer that a prefiller worked for.
  package var transferTime: TimeAmount? {
    prefillEnded == nil || lastToken == nil ? nil : Self.span(decodeBegan, firstToken)
  }
  package var decodeTime: TimeAmount? { Self.span(decodeBegan, ended) }
  package var total: TimeAmount? { ended.map { $0 - received } }

  /// A decode leg that begins during the prefill waits for its end.
  private var decodeBegan: NIODeadline? {
    decodeStarted.map { started in max(started, prefillEnded ?? started) }
  }

  private static func span(_ start: NIODeadline?, _ end: NIODeadline?) -> TimeAmount? {
    guard let start, let end, end >= start else { return nil }
    return end - start
  }
}
