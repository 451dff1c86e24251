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
  let sight: RequestSight
  let headerLines: ByteBuffer
  private let shape: RequestShape
  let plan: RoutePlan
  /// What the workers are asked: the client's request, or what is left of it after a migration.
  private var asked: AskedRequest
  var machine: TwoLegRequest
  private var pair: LegPair?
  private var handoffBody: ByteBuffer?
  /// A handoff that is to be released if nobody pulls it.
  var published: PublishedHandoff?
  /// The prefiller whose handoff a decoder failed with.
  private var suspect: Worker?
  /// The leg that is waited for.
  private(set) var leg: UpstreamLeg?
  /// The prefill leg that runs beside it under `HandoffTiming.together`.
  private var companion: UpstreamLeg?
  private var legKind = LegKind.answer
  private var legStarted = NIODeadline.now()
  private var retryDelay: Scheduled<Void>?
  private var holdsRetry = false
  private var lastFailed: Worker?
  private var lastFault: LegFault?
  private var deadline: (at: NIODeadline, fault: LegFault.Deadline)
  private let requestDeadline: NIODeadline
  var answer = AnswerRelay()
  /// Of a large answer, in the loop's `HeldAnswers`.
  private var heldBytes = 0
  var migration: StreamMigration?
  /// The client has the head of an event stream.
  var hasBegunEvents = false
  /// The prefiller that the request's prefill ran on.
  private(set) var prefiller: Worker?

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  init(
    _ request: HTTPRequest, endpoint: Endpoint, body: ClientBody?, writer: HTTPResponseWriter, loop: ProxyLoop,
    sight: RequestSight
  ) {
    let configuration = loop.context.configuration
    self.loop = loop
    self.endpoint = endpoint
    self.writer = writer
    self.sight = sight
    received = request.received
    let shape = RequestShape(
      sequence: loop.context.rotation.next(), body: body, headers: request.headers, looksAt: loop.context.shapeRules)
    self.shape = shape
    requestID = ForwardedHeaders.requestID(request.headers, else: loop.context.newRequestID(shape))
    headerLines = ForwardedHeaders.requestLines(
      request.headers, requestID: requestID, workerKey: configuration.workerKey)
    isStreamed = body?.isStreamed ?? false
    plan = loop.context.plan(shape, body: body, now: .now())
    migration =
      plan.route == .prefillerAlone
      ? nil : body.flatMap { StreamMigration(of: $0, endpoint, limit: configuration.migrations) }
    asked = AskedRequest(
      target: request.path + (request.query.map { "?\($0)" } ?? ""), body: body,
      plain: body == nil ? request.body : nil, asking: migration == nil ? [] : Continuation.asking)
    machine = TwoLegRequest(
      plan.route, timing: plan.handoff?.timing ?? .afterPrefill, attemptsPerLeg: configuration.attemptsPerLeg,
      migrations: migration == nil ? 0 : configuration.migrations)
    requestDeadline = received + TimeAmount(configuration.deadlines.request)
    deadline = (requestDeadline, .request)
  }

  var context: ProxyContext { loop.context }

  var isPrefillLeg: Bool { legKind == .prefill }

  /// The message is constant, and nothing is built for a level that is off.
  func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata) {
    guard level >= context.logger.logLevel else { return }
    context.logger.log(level: level, message, metadata: metadata().merging(["request.id": "\(requestID)"]) { $1 })
  }

  func start() {
    loop.add(self)
    sight.decided(plan.decision)
    writer.onClientGone { self.clientLeft() }
    perform(machine.start())
  }

  /// From here on the workers are asked for the rest of the answer.
  func ask(for rest: AskedRequest) {
    asked = rest
    pair = nil
    handoffBody = nil
  }

  // MARK: What the machine says

  func perform(_ action: TwoLegRequest.Action) {
    switch action {
    case .prefill(let excluding):
      if excluding.isEmpty { return prefill(excluding: excluding) }
      retry(attempt: excluding.count) { self.prefill(excluding: excluding) }
    case .answerOnPrefiller(let excluding):
      guard let worker = pickPrefiller(excluding) else { return withoutWorker() }
      run(.answer, on: worker, asked.answerBody)
    case .decode(let withHandoff, let excluding, let avoiding):
      let picked = context.decoders.pick(
        shape, excluding: excluding, avoiding: avoiding, prefilledAt: pair?.prefiller,
        preferring: machine.hasRelayed ? nil : plan.decoderAlone, now: .now())
      guard let worker = picked else { return withoutWorker() }
      // The process that prefilled has the KV.
      let usesHandoff = withHandoff && worker.address != pair?.prefiller
      run(.answer, on: worker, usesHandoff ? handoffBody ?? asked.answerBody : asked.answerBody)
    case .both(let prefillers, let decoders): runBoth(prefillers, decoders)
    case .resume: perform(resume())
    case .answerError(let fault): answerError(APIError(fault, on: lastFailed))
    case .breakStream(let fault): breakStream(fault)
    case .nothing: break
    }
  }

  private func pickPrefiller(_ excluding: Set<Int>) -> Worker? {
    context.prefillers.pick(
      shape, excluding: excluding, preferring: machine.hasRelayed ? nil : plan.prefiller, now: .now())
  }

  private func prefill(excluding: Set<Int>) {
    guard let worker = pickPrefiller(excluding), let body = asked.body, let handoff = plan.handoff else {
      return withoutWorker()
    }
    let pair = LegPair(prefiller: worker.address, decoder: nil)
    self.pair = pair
    run(.prefill, on: worker, handoff.prefillBody(of: body, pair: pair))
  }

  private func runBoth(_ prefillers: Set<Int>, _ decoders: Set<Int>) {
    guard let prefiller = pickPrefiller(prefillers), let body = asked.body, let handoff = plan.handoff,
      let decoder = context.decoders.pick(shape, excluding: decoders, now: .now())
    else { return withoutWorker() }
    let pair = LegPair(prefiller: prefiller.address, decoder: decoder.address, room: LegPair.newRoom())
    guard let decode = handoff.decodeBody(of: asked.followedBody ?? body, pair: pair, prefillAnswer: nil) else {
      return withoutWorker()
    }
    self.prefiller = prefiller
    let companion = makeLeg(on: prefiller, handoff.prefillBody(of: body, pair: pair))
    self.companion = companion
    sight.legStarted(on: prefiller)
    run(.answer, on: decoder, decode)
    companion.start()
  }

  private func withoutWorker() {
    switch machine.state {
    case .prefilling, .answeringOnPrefiller: sight.fellBack(.noPrefiller)
    default: break
    }
    perform(machine.noWorker())
  }

  /// A fleet in trouble gets few retries, none of them at once; the request then goes to a decoder alone.
  private func retry(attempt: Int, _ body: @escaping () -> Void) {
    guard loop.retries.begin(activeRequests: loop.activeRequests) else {
      sight.fellBack(.retryBudget)
      return perform(machine.noWorker())
    }
    holdsRetry = true
    // Nobody has had any work of a connection that was refused.
    if lastFault?.leavesHandoffUntouched == true { return body() }
    var dice = SystemRandomNumberGenerator()
    let delay = context.configuration.backoff.delay(attempt: attempt, using: &dice)
    retryDelay = loop.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: TimeAmount(delay)) { body() }
  }

  private func endRetry() {
    retryDelay?.cancel()
    retryDelay = nil
    if holdsRetry { loop.retries.end() }
    holdsRetry = false
  }

  // MARK: Legs

  private func run(_ kind: LegKind, on worker: Worker, _ body: ByteBuffer) {
    answer = AnswerRelay()
    holdsNothing()
    legKind = kind
    legStarted = .now()
    sight.legStarted(on: worker)
    if worker.role == .prefill { prefiller = worker }
    let deadlines = context.configuration.deadlines
    if kind == .prefill {
      wait(deadlines.prefill, .prefill)
    } else if isStreamed {
      wait(deadlines.firstToken, .firstToken)
    } else {
      deadline = (requestDeadline, .request)
    }
    let leg = makeLeg(on: worker, body)
    self.leg = leg
    leg.start()
  }

  private func makeLeg(on worker: Worker, _ body: ByteBuffer) -> UpstreamLeg {
    var head = ByteBufferAllocator().buffer(capacity: 256 + asked.target.utf8.count + headerLines.readableBytes)
    head.writeString(endpoint.method)
    head.writeStaticString(" ")
    head.writeString(asked.target)
    head.writeStaticString(" HTTP/1.1\r\nhost: ")
    head.writeString(worker.authority)
    head.writeStaticString("\r\ncontent-length: ")
    head.writeString(String(body.readableBytes))
    head.writeStaticString("\r\n")
    head.writeImmutableBuffer(headerLines)
    head.writeStaticString("\r\n")
    return UpstreamLeg(worker: worker, head: head, body: body, pool: loop.pool, delegate: self)
  }

  func isCompanion(_ leg: UpstreamLeg) -> Bool { leg === companion }

  /// The prefill leg beside the answer has done its part, or it has failed, and with it the attempt.
  func companionEnded(_ fault: LegFault?) {
    guard let ended = companion else { return }
    companion = nil
    guard let fault else {
      sight.prefilled(isFirstToken: false)
      return context.change(ended.worker) { $0.legAnswered(ended.epoch) }
    }
    ended.cancel()
    context.book(fault, of: ended)
    guard machine.state == .bothLegs else { return }
    leg?.cancel()
    leg = nil
    lastFailed = ended.worker
    perform(machine.failed(fault, on: ended.worker.index, role: .prefill))
  }

  /// - Returns: Whether there is room for this many bytes of an answer.
  func holds(_ count: Int) -> Bool {
    guard loop.held.take(count - heldBytes) else { return false }
    heldBytes = count
    return true
  }

  func holdsNothing() {
    loop.held.giveBack(heldBytes)
    heldBytes = 0
  }

  private func cancelLegs() {
    leg?.cancel()
    leg = nil
    companion?.cancel()
    companion = nil
    endRetry()
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
    } else if leg.worker.health.fault == .unhealthy, machine.state != .relaying || isSilent(now) {
      failLeg(leg, .unhealthy)
    }
  }

  /// A stream that could go on elsewhere has brought nothing for a while.
  private func isSilent(_ now: NIODeadline) -> Bool {
    let idle = TimeAmount(context.configuration.deadlines.idle)
    return migration != nil && deadline.fault == .idle && now - .seconds(1) >= deadline.at - idle
  }

  // MARK: What the legs say

  func failLeg(_ leg: UpstreamLeg, _ fault: LegFault) {
    writer.flush()
    leg.cancel()
    self.leg = nil
    companion?.cancel()
    companion = nil
    endRetry()
    lastFailed = leg.worker
    lastFault = fault
    sight.legFailed(on: leg.worker, afterFirstToken: machine.hasRelayed)
    let isHandoffsFault = machine.state == .decoding(withHandoff: true) && fault.blamesHandoff
    if isHandoffsFault {
      sight.fellBack(.handoffFailed)
      suspect = prefiller
    }
    // A decoder that says that it could not use a handoff has not failed yet; one that says nothing has.
    if !isHandoffsFault || fault.isSilence { context.book(fault, of: leg) }
    if leg.worker.role == .prefill { prefiller = nil }
    log(.notice, "Leg failed", ["worker": "\(leg.worker.name)", "error.type": "\(fault.label)"])
    let action = machine.failed(fault, on: leg.worker.index)
    if case .decode(false, _, _) = action {
      if leg.worker.role == .prefill { sight.fellBack(.prefillFailed) }
      releaseHandoff()
    }
    perform(action)
  }

  /// The leg's whole answer is in `answer` and none of it has been relayed.
  func legAnswered(_ leg: UpstreamLeg, _ head: UpstreamHead, _ body: ByteBuffer) {
    let status = Int(head.status.code)
    let isGood = (200..<300).contains(status)
    // A client that has a part of its answer has no use for another status, nor for a body.
    let isUseless = machine.hasRelayed && !(isGood && legKind == .prefill)
    if status >= 500 || status == 429 || status == 408 || isUseless { return failLeg(leg, .answered(status: status)) }
    self.leg = nil
    endRetry()
    context.change(leg.worker) { $0.legAnswered(leg.epoch) }
    if legKind == .prefill, isGood { return prefilled(leg, head, body) }
    // The answer, or a refusal that is the client's fault and would be the same everywhere.
    if legKind == .answer, isGood {
      handoffWasUsed()
      if leg.worker.role == .prefill { sight.sawFirstToken() }
    }
    companion?.cancel()
    companion = nil
    machine.ended()
    finish((200..<400).contains(status) ? .ok : .refused)
    let headers = ForwardedHeaders.response(head.headers, requestID: requestID, timing: sight.timing)
    writer.send(head.status, headers: headers, body: body)
  }

  private func prefilled(_ leg: UpstreamLeg, _ head: UpstreamHead, _ body: ByteBuffer) {
    if !machine.hasRelayed { context.prefillLegTook(seconds(since: legStarted), on: leg.worker, of: plan) }
    sight.prefilled(isFirstToken: !isStreamed)
    if let pair, let client = asked.followedBody ?? asked.body {
      handoffBody = plan.handoff?.decodeBody(of: client, pair: pair, prefillAnswer: body)
    }
    if handoffBody == nil { sight.fellBack(.noHandoff) }
    published = PublishedHandoff(head, body, on: leg.worker)
    perform(machine.prefilled(withHandoff: handoffBody != nil))
  }

  /// The answer's first part is good and goes out.
  func relayBegins(_ leg: UpstreamLeg) {
    context.change(leg.worker) { $0.legAnswered(leg.epoch) }
    let isFirst = !machine.hasRelayed
    if isStreamed, isFirst {
      context.decodeLegTook(
        seconds(since: legStarted), on: leg.worker, of: plan,
        withHandoff: machine.state == .decoding(withHandoff: true))
    }
    handoffWasUsed()
    machine.relayed()
    endRetry()
  }

  /// A decoder answers: its handoff is pulled, or the one before, that it did not get, was at fault.
  private func handoffWasUsed() {
    if machine.state == .decoding(withHandoff: true) { prefiller?.updateHealth { $0.transferSucceeded() } }
    if let suspect { context.change(suspect) { $0.transferFailed(now: .now()) } }
    suspect = nil
    published = nil
  }

  // MARK: Ends

  func relayEnded() {
    cancelLegs()
    machine.ended()
    finish(.ok)
    if hasBegunEvents, let comment = sight.timingComment { writer.write(comment) }
    writer.end()
  }

  private func answerError(_ error: APIError) {
    releaseHandoff()
    finish(.failed)
    writer.send(error, requestID: requestID)
  }

  private func breakStream(_ fault: LegFault) {
    releaseHandoff()
    finish(.broken)
    if hasBegunEvents, let lastFailed {
      let error = APIError.brokenStream(fault, on: lastFailed)
      writer.write(ByteBuffer(bytes: ServerSentEvents.frame(error.body)))
      writer.end()
    } else {
      writer.abort()
    }
  }

  /// Also called when a broken answer's connection is cut, which is no doing of the client's.
  private func clientLeft() {
    guard machine.state != .done else { return }
    cancelLegs()
    releaseHandoff()
    machine.ended()
    finish(.clientGone)
  }

  private func finish(_ outcome: Outcome) {
    endRetry()
    holdsNothing()
    loop.remove(self)
    context.metrics.finished(endpoint, outcome)
    sight.ended(outcome)
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
