import Glibc
import HTTPServer
import NIOCore
import ServingAPI

/// Follows one generation for those who watch: keeps its timeline, books what it shows, and tells it to a client that
/// asks. Belongs to the request's event loop.
final class RequestSight {
  /// Of requests: `1` asks for the timeline. Of answers: the timeline.
  static let headerName = "x-xpyd-timing"
  /// W3C's.
  static let traceHeaderName = "traceparent"

  private let context: ProxyContext
  private let endpoint: Endpoint
  /// nil if nobody records it.
  private var trace: RequestTrace?
  private let asksForTiming: Bool
  private let generates: Bool
  private(set) var timeline: RequestTimeline
  private(set) var outcome: Outcome?
  /// Those that did the work in the end.
  private var prefiller: Worker? { didSet { timeline.prefiller = prefiller?.index } }
  private var decoder: Worker? { didSet { timeline.decoder = decoder?.index } }

  init(_ request: HTTPRequest, endpoint: Endpoint, context: ProxyContext) {
    self.context = context
    self.endpoint = endpoint
    generates = endpoint.generates
    if context.spans != nil { trace = Self.trace(request) }
    asksForTiming = request.headers.first(name: Self.headerName) == "1"
    timeline = RequestTimeline(received: request.received)
  }

  /// A client that is recorded has its trace continued, one that is not is left alone, and without one a trace begins.
  private static func trace(_ request: HTTPRequest) -> RequestTrace? {
    var dice = SystemRandomNumberGenerator()
    let given = request.headers.first(name: traceHeaderName).flatMap { TraceContext(traceparent: $0) }
    let context = given ?? TraceContext(using: &dice)
    return context.isSampled ? RequestTrace(context) : nil
  }

  var isTraced: Bool { trace != nil }

  /// For a leg that was just started on a worker of this role.
  func traceparent(of role: WorkerRole) -> String? { trace?.traceparent(of: role) }

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  func begins(_ requestID: String, _ body: ClientBody?) {
    guard trace != nil else { return }
    trace?.requestID = requestID
    trace?.model = body?.withValue(of: "model") { $0.count <= 256 ? decodeJSONString($0) : nil } ?? nil
  }

  func admitted() { timeline.admitted = .now() }

  func decided(_ decision: DisaggregationDecision?) { timeline.decision = decision }

  func fellBack(_ reason: RequestTimeline.Fallback) {
    timeline.fallback = reason
    context.metrics.fellBack(reason)
  }

  func legStarted(on worker: Worker) {
    trace?.legStarted(on: worker, now: .now())
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
    trace?.legEnded(.prefill, fault: nil, now: .now())
    guard timeline.lastToken == nil else { return }
    timeline.prefillEnded = .now()
    if isFirstToken { sawFirstToken() }
  }

  func legFailed(_ fault: LegFault, on worker: Worker, afterFirstToken: Bool) {
    trace?.legEnded(worker.role, fault: fault.label, now: .now())
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
    export(outcome)
    guard generates else { return }
    context.requestMetrics.ended(
      timeline, prefiller: prefiller, decoder: decoder, isWhole: outcome == .ok)
  }

  private func export(_ outcome: Outcome) {
    guard let trace else { return }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let sinceEpoch = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    let clock = sinceEpoch - Int64(NIODeadline.now().uptimeNanoseconds)
    context.spans?.add(trace.spans(timeline, endpoint, outcome, clock: clock))
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
