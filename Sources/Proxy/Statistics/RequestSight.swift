import HTTPServer
import NIOCore

/// Follows one generation for those who watch: keeps its timeline, books what it shows, and tells it to a client that
/// asks. Belongs to the request's event loop.
final class RequestSight {
  /// Of requests: `1` asks for the timeline. Of answers: the timeline.
  static let headerName = "x-xpyd-timing"

  private let context: ProxyContext
  private let asksForTiming: Bool
  private let generates: Bool
  private(set) var timeline: RequestTimeline
  private(set) var outcome: Outcome?
  /// Those that did the work in the end.
  private var prefiller: Worker? { didSet { timeline.prefiller = prefiller?.index } }
  private var decoder: Worker? { didSet { timeline.decoder = decoder?.index } }

  init(_ request: HTTPRequest, endpoint: Endpoint, context: ProxyContext) {
    self.context = context
    generates = endpoint.generates
    asksForTiming = request.headers.first(name: Self.headerName) == "1"
    timeline = RequestTimeline(received: request.received)
  }

  func admitted() { timeline.admitted = .now() }

  func decided(_ decision: DisaggregationDecision?) { timeline.decision = decision }

  func fellBack(_ reason: RequestTimeline.Fallback) {
    timeline.fallback = reason
    context.metrics.fellBack(reason)
  }

  func legStarted(on worker: Worker) {
    // A migration's legs are part of the stream, whose times began with the first ones.
    guard timeline.lastToken == nil else {
      if worker.role == .decode { decoder = worker }
      return
    }
    switch worker.role {
    case .prefill:
      timeline.prefillStarted = .now()
      prefiller = worker
    case .decode:
      timeline.decodeStarted = .now()
      decoder = worker
    }
  }

  func prefilled(isFirstToken: Bool) {
    guard timeline.lastToken == nil else { return }
    timeline.prefillEnded = .now()
    if isFirstToken { sawFirstToken() }
  }

  func legFailed(on worker: Worker, afterFirstToken: Bool) {
    switch worker.role {
    case .decode where afterFirstToken: timeline.migrations += 1
    case .prefill where afterFirstToken: break
    case .prefill:
      timeline.prefillRetries += 1
      prefiller = nil
    case .decode: timeline.decoderReplacements += 1
    }
  }

  /// A part of a streamed answer came.
  func partCame() {
    guard generates else { return }
    let isFirst = timeline.firstToken == nil
    if let gap = timeline.tokensCame(at: .now()) {
      decoder?.series.decoding?.interTokenLatency.observe(gap.seconds)
    }
    if isFirst { booked() }
  }

  /// A first token came that no part of a stream tells of.
  func sawFirstToken() {
    guard generates, timeline.firstToken == nil else { return }
    timeline.firstToken = .now()
    booked()
  }

  private func booked() {
    context.requestMetrics.sawFirstToken(timeline, prefiller: prefiller, decoder: decoder)
    guard let firstToken = timeline.firstToken else { return }
    if let admitted = timeline.admitted {
      context.admission.sawFirstToken(after: firstToken - admitted, now: firstToken)
    }
    if let prefiller, let time = timeline.timeToFirstToken {
      context.statistics.add(time.seconds, prefiller: prefiller.index)
    }
  }

  func ended(_ outcome: Outcome) {
    self.outcome = outcome
    timeline.ended = .now()
    guard generates else { return }
    context.requestMetrics.ended(
      timeline, prefiller: prefiller, decoder: decoder, isWhole: outcome == .ok)
  }

  /// For the head of a plain answer; nil if the client did not ask.
  var timing: String? { asksForTiming ? timeline.json : nil }

  /// The same for the end of a stream: a comment, which clients that know nothing of it skip.
  var timingComment: ByteBuffer? { timing.map { ByteBuffer(string: ": \(Self.headerName) \($0)\n\n") } }
}

extension RequestTimeline {
  /// Names and seconds, as one line of JSON without spaces outside of names.
  package var json: String {
    var fields: [String] = []
    if let prefiller { fields.append(#""prefiller":"\#(WorkerRole.prefill.name)\#(prefiller + 1)""#) }
    if let decoder { fields.append(#""decoder":"\#(WorkerRole.decode.name)\#(decoder + 1)""#) }
    let spans = [
      ("queue", queueTime), ("prefill", prefillTime), ("transfer", transferTime), ("decode", decodeTime),
      ("ttft", timeToFirstToken), ("total", total),
    ]
    for case (let name, let time?) in spans { fields.append(#""\#(name)":\#(time.seconds)"#) }
    let counts = [
      ("prefill_retries", prefillRetries), ("decoder_replacements", decoderReplacements), ("migrations", migrations),
    ]
    for (name, count) in counts where count > 0 { fields.append(#""\#(name)":\#(count)"#) }
    if let decision, decision.skipsPrefiller { fields.append(#""prefill_skipped":"\#(decision.rawValue)""#) }
    if let fallback { fields.append(#""fallback":"\#(fallback.rawValue)""#) }
    return "{\(fields.joined(separator: ","))}"
  }
}
