import HTTPServer
import Logging
import NIOCore
import NIOHTTP1
import ServingAPI

/// Carries one client's request through: does what its `TwoLegRequest` says, with legs and timers, and relays the answer.
/// Belongs to the client connection's event loop, on which all its legs run as well.
// SAFETY: every stored `var` is used on `loop.eventLoop` only; the writer's callbacks run there.
final class RequestExchange: @unchecked Sendable {
  enum LegKind {
    case prefill
    /// Its answer is the client's.
    case answer
  }

  let loop: ProxyLoop
  let endpoint: Endpoint
  let writer: HTTPResponseWriter
  let requestID: String
  let received: NIODeadline
  let isStreamed: Bool
  private let target: String
  private let body: ClientBody?
  private let plainBody: ByteBuffer
  private let headerLines: ByteBuffer
  private let shape: RequestShape
  private let plan: RoutePlan
  private var machine: TwoLegRequest
  private var pair: LegPair?
  private var handoffBody: ByteBuffer?
  private(set) var leg: UpstreamLeg?
  private var legKind = LegKind.answer
  private var legStarted = NIODeadline.now()
  private var lastFailed: Worker?
  private var deadline: (at: NIODeadline, fault: LegFault.Deadline)
  private let requestDeadline: NIODeadline
  var answer = AnswerRelay()
  /// The decoder that answered.
  var answeredBy: Int?
  /// The prefiller that the request's prefill ran on.
  private(set) var prefiller: Worker?

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  init(_ request: HTTPRequest, endpoint: Endpoint, body: ClientBody?, writer: HTTPResponseWriter, loop: ProxyLoop) {
    let configuration = loop.context.configuration
    self.loop = loop
    self.endpoint = endpoint
    self.writer = writer
    self.body = body
    received = request.received
    let shape = RequestShape(
      sequence: loop.context.rotation.next(), body: body, headers: request.headers, looksAt: loop.context.shapeRules)
    self.shape = shape
    requestID = ForwardedHeaders.requestID(request.headers, else: loop.context.newRequestID(shape))
    headerLines = ForwardedHeaders.requestLines(
      request.headers, requestID: requestID, workerKey: configuration.workerKey)
    target = request.path + (request.query.map { "?\($0)" } ?? "")
    plainBody = body?.plain ?? request.body
    isStreamed = body?.isStreamed ?? false
    plan = loop.context.plan(shape, body: body, now: .now())
    machine = TwoLegRequest(plan.route, attemptsPerLeg: configuration.attemptsPerLeg)
    requestDeadline = received + TimeAmount(configuration.deadlines.request)
    deadline = (requestDeadline, .request)
  }

  var context: ProxyContext { loop.context }

  var isPrefillLeg: Bool { legKind == .prefill }

  /// The message is constant, and nothing is built for a level that is off.
  private func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata) {
    guard level >= context.logger.logLevel else { return }
    context.logger.log(level: level, message, metadata: metadata().merging(["request.id": "\(requestID)"]) { $1 })
  }

  func start() {
    loop.add(self)
    writer.onClientGone { self.clientLeft() }
    perform(machine.start())
  }

  // MARK: What the machine says

  private func perform(_ action: TwoLegRequest.Action) {
    let now = NIODeadline.now()
    switch action {
    case .prefill(let excluding):
      let picked = context.prefillers.pick(shape, excluding: excluding, preferring: plan.prefiller, now: now)
      guard let worker = picked, let body, let handoff = plan.handoff else { return withoutWorker() }
      let pair = LegPair(prefiller: worker.address, decoder: nil, room: LegPair.newRoom())
      self.pair = pair
      run(.prefill, on: worker, handoff.prefillBody(of: body, pair: pair))
    case .answerOnPrefiller(let excluding):
      guard let worker = context.prefillers.pick(shape, excluding: excluding, now: now) else {
        return withoutWorker()
      }
      run(.answer, on: worker, plainBody)
    case .decode(let withHandoff, let excluding, let avoiding):
      let picked = context.decoders.pick(
        shape, excluding: excluding, avoiding: avoiding, prefilledAt: pair?.prefiller, preferring: plan.decoderAlone,
        now: now)
      guard let worker = picked else { return withoutWorker() }
      // The process that prefilled has the KV.
      let usesHandoff = withHandoff && worker.address != pair?.prefiller
      run(.answer, on: worker, usesHandoff ? handoffBody ?? plainBody : plainBody)
    case .answerError(let fault): answerError(APIError(fault, on: lastFailed))
    case .breakStream(let fault): breakStream(fault)
    case .nothing: break
    }
  }

  private func withoutWorker() {
    switch machine.state {
    case .prefilling, .answeringOnPrefiller: context.metrics.fellBack(.noPrefiller)
    default: break
    }
    perform(machine.noWorker())
  }

  private func run(_ kind: LegKind, on worker: Worker, _ body: ByteBuffer) {
    var head = ByteBufferAllocator().buffer(capacity: 256 + headerLines.readableBytes)
    head.writeString("\(endpoint.method) \(target) HTTP/1.1\r\nhost: \(worker.address)\r\n")
    head.writeString("content-length: \(body.readableBytes)\r\n")
    head.writeImmutableBuffer(headerLines)
    head.writeStaticString("\r\n")
    answer = AnswerRelay()
    legKind = kind
    legStarted = .now()
    if worker.role == .prefill { prefiller = worker }
    let deadlines = context.configuration.deadlines
    if kind == .prefill {
      wait(deadlines.prefill, .prefill)
    } else if isStreamed {
      wait(deadlines.firstToken, .firstToken)
    } else {
      deadline = (requestDeadline, .request)
    }
    let leg = UpstreamLeg(worker: worker, head: head, body: body, pool: loop.pool, delegate: self)
    self.leg = leg
    leg.start()
  }

  // MARK: Time

  func wait(_ duration: Duration, _ fault: LegFault.Deadline) {
    let at = NIODeadline.now() + TimeAmount(duration)
    deadline = at < requestDeadline ? (at, fault) : (requestDeadline, .request)
  }

  /// While the client does not read, the worker cannot send; the connection's own limit watches the client.
  func waitForClient() { deadline = (requestDeadline, .request) }

  func checkDeadline(now: NIODeadline) {
    guard let leg else { return }
    if now >= deadline.at {
      failLeg(leg, .deadline(deadline.fault))
    } else if machine.state != .relaying, leg.worker.health.fault == .unhealthy {
      failLeg(leg, .unhealthy)
    }
  }

  // MARK: What the legs say

  func failLeg(_ leg: UpstreamLeg, _ fault: LegFault) {
    leg.cancel()
    self.leg = nil
    lastFailed = leg.worker
    let isHandoffsFault = machine.state == .decoding(withHandoff: true) && fault.blamesHandoff
    if isHandoffsFault { context.metrics.fellBack(.handoffFailed) }
    // A decoder that says that it could not use a handoff has not failed yet; one that says nothing has.
    if !isHandoffsFault || fault.isSilence { context.book(fault, of: leg.worker, now: .now()) }
    if leg.worker.role == .prefill { prefiller = nil }
    log(.notice, "Leg failed", ["worker": "\(leg.worker.name)", "error.type": "\(fault.label)"])
    let action = machine.failed(fault, on: leg.worker.index)
    if case .decode(false, _, _) = action, leg.worker.role == .prefill { context.metrics.fellBack(.prefillFailed) }
    perform(action)
  }

  /// The leg's whole answer is in `answer` and none of it has been relayed.
  func legAnswered(_ leg: UpstreamLeg, _ head: UpstreamHead, _ body: ByteBuffer) {
    let status = Int(head.status.code)
    if status >= 500 || status == 429 || status == 408 { return failLeg(leg, .answered(status: status)) }
    self.leg = nil
    leg.worker.updateHealth { $0.legAnswered() }
    if legKind == .prefill, (200..<300).contains(status) { return prefilled(leg, body) }
    // The answer, or a refusal that is the client's fault and would be the same everywhere.
    if legKind == .answer, (200..<300).contains(status) { booked(firstToken: !isStreamed && prefiller === leg.worker) }
    machine.ended()
    writer.send(head.status, headers: ForwardedHeaders.response(head.headers, requestID: requestID), body: body)
    finish((200..<400).contains(status) ? .ok : .refused)
  }

  private func prefilled(_ leg: UpstreamLeg, _ body: ByteBuffer) {
    context.metrics.prefillLeg[leg.worker.index].observe(seconds(since: legStarted))
    context.prefillLegTook(seconds(since: legStarted), on: leg.worker, of: plan)
    if !isStreamed { booked(firstToken: true) }
    if let pair, let client = self.body {
      handoffBody = plan.handoff?.decodeBody(of: client, pair: pair, prefillAnswer: body)
    }
    if handoffBody == nil { context.metrics.fellBack(.noHandoff) }
    perform(machine.prefilled(withHandoff: handoffBody != nil))
  }

  /// The answer's first part is good and goes out.
  func relayBegins(_ leg: UpstreamLeg) {
    leg.worker.updateHealth { $0.legAnswered() }
    if isStreamed {
      context.decodeLegTook(
        seconds(since: legStarted), on: leg.worker, of: plan,
        withHandoff: machine.state == .decoding(withHandoff: true))
    }
    machine.relayed()
    if isStreamed { booked(firstToken: true) }
  }

  /// Books the time from the client's request to the first token that the proxy saw: of a stream the first event, else
  /// the prefiller's answer, which holds the first token.
  private func booked(firstToken: Bool) {
    guard firstToken, let prefiller else { return }
    let ttft = seconds(since: received)
    context.metrics.timeToFirstToken[prefiller.index].observe(ttft)
    context.statistics.add(ttft, prefiller: prefiller.index)
  }

  func relayEnded(_ leg: UpstreamLeg) {
    self.leg = nil
    machine.ended()
    writer.end()
    finish(.ok)
  }

  // MARK: Ends

  private func answerError(_ error: APIError) {
    writer.send(error, requestID: requestID)
    finish(.failed)
  }

  private func breakStream(_ fault: LegFault) {
    if answer.isEventStream, let lastFailed {
      let error = APIError.brokenStream(fault, on: lastFailed)
      writer.write(ByteBuffer(bytes: ServerSentEvents.frame(error.body)))
      writer.end()
    } else {
      writer.abort()
    }
    finish(.broken)
  }

  /// Also called when a broken answer's connection is cut, which is no doing of the client's.
  private func clientLeft() {
    guard machine.state != .done else { return }
    leg?.cancel()
    leg = nil
    machine.ended()
    finish(.clientGone)
  }

  private func finish(_ outcome: Outcome) {
    loop.remove(self)
    context.metrics.finished(endpoint, outcome)
    if outcome == .ok, let index = answeredBy { context.metrics.endToEnd[index].observe(seconds(since: received)) }
    log(.debug, "Request finished", ["outcome": "\(outcome.rawValue)", "endpoint": "\(endpoint.rawValue)"])
  }

  private func seconds(since start: NIODeadline) -> Double { Double((NIODeadline.now() - start).nanoseconds) / 1e9 }
}

extension HTTPResponseWriter {
  package func send(_ error: APIError, requestID: String? = nil) {
    var headers: HTTPHeaders = ["content-type": MediaTypes.json]
    if let requestID { headers.add(name: "x-request-id", value: requestID) }
    if let seconds = error.retryAfter { headers.add(name: HeaderNames.retryAfter, value: "\(seconds)") }
    send(HTTPResponseStatus(statusCode: error.status), headers: headers, body: ByteBuffer(bytes: error.body.encoded))
  }
}
