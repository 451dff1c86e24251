import NIOCore
import ServingAPI

/// The spans of one request: `chat MODEL` with `queue`, `prefill` and `decode` below, and `transfer` below `decode`. A leg
/// that was run again has a span for each try.
struct RequestTrace {
  private struct Leg {
    let id: TraceContext.SpanID
    let role: WorkerRole
    let worker: Worker
    let start: NIODeadline
    var end: NIODeadline?
    var fault: String?
  }

  /// Retries and migrations have limits of their own; this is for who sets these very high.
  private static let mostLegs = 64
  private let context: TraceContext
  private let root: TraceContext.SpanID
  private var legs: [Leg] = []
  var model: String?
  var requestID = ""

  init(_ context: TraceContext) {
    self.context = context
    var dice = SystemRandomNumberGenerator()
    root = TraceContext.SpanID(using: &dice)
  }

  /// What the newest leg of this role takes along.
  func traceparent(of role: WorkerRole) -> String {
    context.traceparent(from: legs.last { $0.role == role }?.id ?? root)
  }

  mutating func legStarted(on worker: Worker, now: NIODeadline) {
    legEnded(worker.role, fault: nil, now: now)
    guard legs.count < Self.mostLegs else { return }
    var dice = SystemRandomNumberGenerator()
    legs.append(Leg(id: TraceContext.SpanID(using: &dice), role: worker.role, worker: worker, start: now))
  }

  mutating func legEnded(_ role: WorkerRole, fault: String?, now: NIODeadline) {
    guard let place = legs.lastIndex(where: { $0.role == role }), legs[place].end == nil else { return }
    legs[place].end = now
    legs[place].fault = fault
  }

  /// - Parameter clock: Nanoseconds since 1970 at the origin of the timeline's instants.
  func spans(_ timeline: RequestTimeline, _ endpoint: Endpoint, _ outcome: Outcome, clock: Int64) -> [Span] {
    let end = timeline.ended ?? .now()
    var whole = span(name(endpoint), .server, timeline.received, end, clock)
    (whole.id, whole.parent) = (root, context.parent)
    whole.attributes = attributes(timeline, endpoint)
    whole.errorType = outcome == .failed || outcome == .broken ? outcome.rawValue : nil
    var spans = [whole]
    if let admitted = timeline.admitted {
      spans.append(span("queue", .internal, timeline.received, admitted, clock))
    }
    for leg in legs {
      var part = span(leg.role.rawValue, .client, leg.start, leg.end ?? end, clock)
      part.id = leg.id
      part.attributes = [
        ("server.address", .string(leg.worker.address.host)), ("server.port", BodyValue(leg.worker.address.port)),
        ("xpyd.worker", .string(leg.worker.name)),
      ]
      part.errorType = leg.fault
      spans.append(part)
    }
    if timeline.transferTime != nil, let from = timeline.decodeStarted, let to = timeline.firstToken,
      let decode = legs.last(where: { $0.role == .decode && $0.start <= to })
    {
      var transfer = span("transfer", .internal, from, to, clock)
      transfer.parent = decode.id
      spans.append(transfer)
    }
    return spans
  }

  /// With an id of its own, below the request's.
  private func span(_ name: String, _ kind: Span.Kind, _ from: NIODeadline, _ to: NIODeadline, _ clock: Int64) -> Span {
    var dice = SystemRandomNumberGenerator()
    return Span(
      trace: context.trace, id: TraceContext.SpanID(using: &dice), parent: root, name: name, kind: kind,
      start: UInt64(clamping: Int64(from.uptimeNanoseconds) + clock),
      end: UInt64(clamping: Int64(max(from, to).uptimeNanoseconds) + clock))
  }

  /// As the GenAI conventions name a span: operation and model.
  private func name(_ endpoint: Endpoint) -> String {
    model.map { "\(endpoint.operation) \($0)" } ?? endpoint.operation
  }

  /// GenAI's names; the latencies and the request's id have none there, and are vLLM's.
  private func attributes(_ timeline: RequestTimeline, _ endpoint: Endpoint) -> [(key: String, value: BodyValue)] {
    var attributes: [(key: String, value: BodyValue)] = [
      ("gen_ai.operation.name", .string(endpoint.operation)), ("gen_ai.request.id", .string(requestID)),
    ]
    if let model { attributes.append(("gen_ai.request.model", .string(model))) }
    let times = [
      ("gen_ai.latency.time_in_queue", timeline.queueTime),
      ("gen_ai.latency.time_to_first_token", timeline.timeToFirstToken), ("gen_ai.latency.e2e", timeline.total),
    ]
    for case (let key, let time?) in times { attributes.append((key, .number(time.seconds))) }
    if let decision = timeline.decision { attributes.append(("xpyd.disaggregation", .string(decision.rawValue))) }
    if let fallback = timeline.fallback { attributes.append(("xpyd.fallback", .string(fallback.rawValue))) }
    if timeline.migrations > 0 { attributes.append(("xpyd.migrations", BodyValue(timeline.migrations))) }
    return attributes
  }
}

extension Endpoint {
  /// `gen_ai.operation.name`: of its closed set where that has the word.
  fileprivate var operation: String {
    switch self {
    case .completions: "text_completion"
    case .chat, .responses, .messages: "chat"
    default: rawValue
    }
  }
}
