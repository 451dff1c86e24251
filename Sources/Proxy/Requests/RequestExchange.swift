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
  let place: Admission.Place
  let isStreamed: Bool
  let sight: RequestSight
  let headerLines: ByteBuffer
  let shape: RequestShape
  let plan: RoutePlan
  /// What the workers are asked: the client's request, or what is left of it after a migration.
  var asked: AskedRequest
  var machine: TwoLegRequest
  var pair: LegPair?
  var handoffBody: ByteBuffer?
  /// A handoff that is to be released if nobody pulls it.
  var published: PublishedHandoff?
  /// Keeps its prefiller from leaving until the decoder answers.
  var held: HeldHandoff?
  /// The prefiller whose handoff a decoder failed with.
  var suspect: Worker?
  /// The leg that is waited for.
  var leg: UpstreamLeg?
  /// The prefill leg that runs beside it: under `HandoffTiming.together`, or because its ticket came early.
  var companion: UpstreamLeg?
  /// When that leg began, and until when it may take, if its ticket came early.
  var earlyPrefill: (started: NIODeadline, deadline: NIODeadline)?
  var legKind = LegKind.answer
  var legStarted = NIODeadline.now()
  var retryDelay: Scheduled<Void>?
  var holdsRetry = false
  var lastFailed: Worker?
  var lastFault: LegFault?
  var deadline: (at: NIODeadline, fault: LegFault.Deadline)
  let requestDeadline: NIODeadline
  var answer = AnswerRelay()
  /// Of a large answer, in the loop's `HeldAnswers`.
  var heldBytes = 0
  var migration: StreamMigration?
  /// The client has the head of an event stream.
  var hasBegunEvents = false
  /// The decoder that a prefiller pushed the KV to, once the first token is out.
  var pushedTo: WorkerAddress?
  /// What its prefiller calls the transfer that is under way.
  var transferID: String?
  var transferTimeout: Scheduled<Void>?
  /// The prefiller that the request's prefill ran on.
  var prefiller: Worker?

  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  init(
    _ request: HTTPRequest, endpoint: Endpoint, body: ClientBody?, writer: HTTPResponseWriter, loop: ProxyLoop,
    place: Admission.Place, sight: RequestSight
  ) {
    let configuration = loop.context.configuration
    self.loop = loop
    self.endpoint = endpoint
    self.writer = writer
    self.place = place
    self.sight = sight
    received = request.received
    let shape = RequestShape(
      sequence: loop.context.rotation.next(), body: body, headers: request.headers, looksAt: loop.context.shapeRules)
    self.shape = shape
    requestID = ForwardedHeaders.requestID(request.headers, else: loop.context.newRequestID(shape))
    headerLines = ForwardedHeaders.requestLines(
      request.headers, requestID: requestID, workerKey: configuration.workerKey, isTraced: sight.isTraced)
    isStreamed = body?.isStreamed ?? false
    plan = loop.context.plan(shape, body: body, now: .now())
    // Of a prefiller that pushes, the decoder goes on as after a migration.
    let followed = if case .pushed? = plan.handoff?.timing { 1 } else { 0 }
    migration =
      plan.route == .prefillerAlone
      ? nil : body.flatMap { StreamMigration(of: $0, endpoint, limit: max(followed, configuration.migrations)) }
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
    sight.begins(requestID, asked.body)
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
      if companion == nil { place.prefilled() }
      let picked = context.decoders.pick(
        shape, excluding: excluding, avoiding: avoiding, prefilledAt: pair?.prefiller,
        preferring: preferredDecoder(withHandoff), now: .now())
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

  private func preferredDecoder(_ withHandoff: Bool) -> Int? {
    if withHandoff, let pushedTo { return context.decoders.workers.first { $0.address == pushedTo }?.index }
    return machine.hasRelayed ? nil : plan.decoderAlone
  }

  private func pickPrefiller(_ excluding: Set<Int>) -> Worker? {
    context.prefillers.pick(
      shape, excluding: excluding, preferring: machine.hasRelayed ? nil : plan.prefiller, now: .now())
  }

  private func prefill(excluding: Set<Int>) {
    guard let worker = pickPrefiller(excluding), let body = asked.body, let handoff = plan.handoff else {
      return withoutWorker()
    }
    var pair = LegPair(prefiller: worker.address, decoder: nil)
    if case .pushed(let notices) = handoff.timing {
      guard let decoder = context.decoders.pick(shape, excluding: [], now: .now()) else { return withoutWorker() }
      pair = LegPair(prefiller: worker.address, decoder: decoder.address, room: LegPair.newRoom())
      expectNotices(notices, of: pair.transferID)
    }
    self.pair = pair
    // Of a prefiller that pushes, the answer begins the client's.
    let asked = pair.decoder == nil ? body : asked.followedBody ?? body
    run(.prefill, on: worker, handoff.prefillBody(of: asked, pair: pair))
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
    sight.legStarted(on: prefiller)
    let companion = makeLeg(on: prefiller, handoff.prefillBody(of: body, pair: pair))
    self.companion = companion
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

  func endRetry() {
    retryDelay?.cancel()
    retryDelay = nil
    if holdsRetry { loop.retries.end() }
    holdsRetry = false
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
    cancelLegs()
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

  func finish(_ outcome: Outcome) {
    endRetry()
    forgetTransfer()
    holdsNothing()
    held = nil
    loop.remove(self)
    context.metrics.finished(endpoint, outcome)
    sight.ended(outcome)
    log(.debug, "Request finished", ["outcome": "\(outcome.rawValue)", "endpoint": "\(endpoint.rawValue)"])
  }

  func seconds(since start: NIODeadline) -> Double { Double((NIODeadline.now() - start).nanoseconds) / 1e9 }
}

extension HTTPResponseWriter {
  package func send(_ error: APIError, requestID: String? = nil) {
    var headers: HTTPHeaders = ["content-type": MediaTypes.json]
    if let requestID { headers.add(name: "x-request-id", value: requestID) }
    if let seconds = error.retryAfter { headers.add(name: HeaderNames.retryAfter, value: "\(seconds)") }
    send(HTTPResponseStatus(statusCode: error.status), headers: headers, body: ByteBuffer(bytes: error.body.encoded))
  }
}
