import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// The legs of a request, how long they may take, and what they say.
extension RequestExchange {
  func run(_ kind: LegKind, on worker: Worker, _ body: ByteBuffer) {
    answer = AnswerRelay()
    holdsNothing()
    legKind = kind
    legStarted = .now()
    sight.legStarted(on: worker)
    if worker.role == .prefill { prefiller = worker }
    let deadlines = context.configuration.deadlines
    if kind == .prefill {
      wait(deadlines.prefill, .prefill)
    } else if isStreamed, earlyPrefill == nil {
      wait(deadlines.firstToken, .firstToken)
    } else {
      deadline = (requestDeadline, .request)
    }
    let leg = makeLeg(on: worker, body)
    self.leg = leg
    leg.start()
  }

  func makeLeg(on worker: Worker, _ body: ByteBuffer) -> UpstreamLeg {
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
    if asksForEarlyTicket { head.writeString("\(HeaderNames.earlyTicket): 1\r\n") }
    if let traceparent = sight.traceparent(of: worker.role) {
      head.writeString("\(RequestSight.traceHeaderName): \(traceparent)\r\n")
    }
    head.writeStaticString("\r\n")
    return UpstreamLeg(worker: worker, head: head, body: body, pool: loop.pool, delegate: self)
  }

  func isCompanion(_ leg: UpstreamLeg) -> Bool { leg === companion }

  /// The prefill leg beside the answer has done its part, or it has failed, and with it the attempt.
  func companionEnded(_ fault: LegFault?) {
    guard let ended = companion else { return }
    companion = nil
    let early = earlyPrefill
    earlyPrefill = nil
    guard let fault else {
      place.prefilled()
      sight.prefilled(isFirstToken: early != nil && !isStreamed)
      if let early { earlyPrefillEnded(ended, since: early.started) }
      return context.change(ended.worker) { $0.legAnswered(ended.epoch) }
    }
    ended.cancel()
    context.book(fault, of: ended)
    if early != nil { earlyPrefillFailed(fault, on: ended.worker) }
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

  func cancelLegs() {
    leg?.cancel()
    leg = nil
    cancelCompanion()
    endRetry()
  }

  private func cancelCompanion() {
    companion?.cancel()
    companion = nil
    earlyPrefill = nil
  }

  // MARK: Time

  func wait(_ duration: Duration, _ fault: LegFault.Deadline) {
    let at = NIODeadline.now() + TimeAmount(duration)
    deadline = at < requestDeadline ? (at, fault) : (requestDeadline, .request)
  }

  /// While the client does not read, the worker cannot send; the connection's own limit watches the client.
  func waitForClient() { deadline = (requestDeadline, .request) }

  func checkDeadline(now: NIODeadline) {
    if let companion, companion.worker.hasToEnd(now: now) { companionEnded(.removed) }
    if let earlyPrefill, now >= earlyPrefill.deadline { companionEnded(.deadline(.prefill)) }
    guard let leg else { return }
    if now >= deadline.at {
      failLeg(leg, .deadline(deadline.fault))
    } else if leg.worker.health.fault == .unhealthy, machine.state != .relaying || isSilent(now) {
      failLeg(leg, .unhealthy)
    } else if leg.worker.hasToEnd(now: now) {
      failLeg(leg, .removed)
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
    // A prefill that another decoder can still follow goes on.
    let isFollowed = earlyPrefill != nil && fault.leavesHandoffUntouched
    if !isFollowed { cancelCompanion() }
    endRetry()
    lastFailed = leg.worker
    lastFault = fault
    sight.legFailed(fault, on: leg.worker, afterFirstToken: machine.hasRelayed)
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
    cancelCompanion()
    machine.ended()
    finish((200..<400).contains(status) ? .ok : .refused)
    let headers = ForwardedHeaders.response(head.headers, requestID: requestID, timing: sight.timing)
    writer.send(head.status, headers: headers, body: body)
  }

  private func prefilled(_ leg: UpstreamLeg, _ head: UpstreamHead, _ body: ByteBuffer) {
    if !machine.hasRelayed { context.prefillLegTook(seconds(since: legStarted), on: leg.worker, of: plan) }
    sight.prefilled(isFirstToken: !isStreamed)
    if case .pushed? = plan.handoff?.timing, let pair { return pushed(body, pair: pair) }
    if let pair, let client = asked.followedBody ?? asked.body {
      handoffBody = plan.handoff?.decodeBody(of: client, pair: pair, prefillAnswer: body)
    }
    if handoffBody == nil { sight.fellBack(.noHandoff) }
    published = PublishedHandoff(head, body, on: leg.worker)
    if handoffBody != nil { held = HeldHandoff(of: leg.worker) }
    perform(machine.prefilled(withHandoff: handoffBody != nil))
  }

  /// The answer's first part is good and goes out.
  func relayBegins(_ leg: UpstreamLeg) {
    context.change(leg.worker) { $0.legAnswered(leg.epoch) }
    let isFirst = !machine.hasRelayed
    if isStreamed, isFirst, earlyPrefill == nil {
      context.decodeLegTook(
        seconds(since: legStarted), on: leg.worker, of: plan,
        withHandoff: machine.state == .decoding(withHandoff: true))
    }
    handoffWasUsed()
    machine.relayed()
    endRetry()
  }

  /// A decoder answers: its handoff is pulled, or the one before, that it did not get, was at fault.
  func handoffWasUsed() {
    if machine.state == .decoding(withHandoff: true) { prefiller?.updateHealth { $0.transferSucceeded() } }
    if let suspect { context.change(suspect) { $0.transferFailed(now: .now()) } }
    suspect = nil
    published = nil
    held = nil
  }
}
