import HTTPServer
import NIOCore
import NIOHTTP1

/// How much of a leg's answer is known, and whether it is held or relayed.
struct AnswerRelay {
  enum State {
    case awaitingHead
    /// Held until it is whole, so that a worker that dies on the way can be replaced.
    case holding(UpstreamHead, ByteBuffer)
    /// A stream whose first event is not whole yet.
    case judging(UpstreamHead, EventStreamGate)
    case relayingEvents(EventStreamGate)
    /// A body too large to hold.
    case relayingBytes
  }

  /// Beyond this an answer that is not a stream is relayed as it comes, unless there is room for more.
  static let mostHeld = 256 * 1024
  /// Beyond this there is none.
  static let mostHeldWithRoom = 16 * 1024 * 1024
  /// Prefill answers are held whole, for their handoff.
  static let mostPrefillAnswer = 16 * 1024 * 1024
  var state = State.awaitingHead
}

/// Room for the large answers that the requests of one event loop hold, in bytes.
struct HeldAnswers {
  let limit: Int
  private(set) var bytes = 0

  init(limit: Int) { self.limit = limit }

  mutating func take(_ count: Int) -> Bool {
    guard bytes + count <= limit else { return false }
    bytes += count
    return true
  }

  mutating func giveBack(_ count: Int) { bytes -= count }
}

extension RequestExchange: UpstreamLegDelegate {
  func leg(_ leg: UpstreamLeg, informed head: UpstreamHead) {
    if leg === self.leg { ticketCame(head, from: leg) }
  }

  func leg(_ leg: UpstreamLeg, received head: UpstreamHead) {
    if isCompanion(leg), head.status.code >= 400 { companionEnded(.answered(status: Int(head.status.code))) }
    guard leg === self.leg else { return }
    let isGood = (200..<300).contains(head.status.code)
    let type = head.headers.first(name: "content-type") ?? ""
    answer.state =
      isGood && !isPrefillLeg && type.hasPrefix("text/event-stream")
      ? .judging(head, EventStreamGate()) : .holding(head, ByteBuffer())
  }

  func leg(_ leg: UpstreamLeg, received bytes: ByteBuffer) {
    guard leg === self.leg else { return }
    switch answer.state {
    case .awaitingHead: break
    case .holding(let head, var body):
      answer.state = .awaitingHead
      body.writeImmutableBuffer(bytes)
      answer.state = .holding(head, body)
      if body.readableBytes > AnswerRelay.mostHeld { outgrown(leg, head, body) }
    case .judging(let head, var gate):
      answer.state = .awaitingHead
      let events = gate.take(bytes)
      answer.state = .judging(head, gate)
      if let events { judge(leg, head, gate, events) }
    case .relayingEvents(var gate):
      answer.state = .relayingBytes
      let events = gate.take(bytes)
      answer.state = .relayingEvents(gate)
      if let events { relayEvents(events, leg) }
    case .relayingBytes: relay(bytes, leg)
    }
  }

  /// What came together leaves together, and at once: other connections' turn comes after it.
  func legPaused(_ leg: UpstreamLeg) { writer.flush() }

  func legEnded(_ leg: UpstreamLeg) {
    if isCompanion(leg) { return companionEnded(nil) }
    guard leg === self.leg else { return }
    switch answer.state {
    case .awaitingHead, .judging: failLeg(leg, .closed)
    case .holding(let head, let body): legAnswered(leg, head, body)
    case .relayingEvents(let gate):
      if migration?.isCutOff == true { return failLeg(leg, .closed) }
      if gate.held.readableBytes > 0 { writer.write(gate.held) }
      relayEnded()
    case .relayingBytes: relayEnded()
    }
  }

  func leg(_ leg: UpstreamLeg, failed fault: LegFault) {
    if isCompanion(leg) { return companionEnded(fault) }
    guard leg === self.leg else { return }
    failLeg(leg, fault)
  }

  private func judge(_ leg: UpstreamLeg, _ head: UpstreamHead, _ gate: EventStreamGate, _ events: ByteBuffer) {
    if EventStreamGate.beginsWithError(events) { return failLeg(leg, .errorEvent) }
    if let fault = migration?.begins(head.headers) { return failLeg(leg, fault) }
    answer.state = .relayingEvents(gate)
    begin(leg, head)
    hasBegunEvents = true
    relayEvents(events, leg)
  }

  private func outgrown(_ leg: UpstreamLeg, _ head: UpstreamHead, _ body: ByteBuffer) {
    if isPrefillLeg || machine.hasRelayed || !(200..<300).contains(head.status.code) {
      if body.readableBytes > AnswerRelay.mostPrefillAnswer { failLeg(leg, .tooLarge) }
      return
    }
    if body.readableBytes <= AnswerRelay.mostHeldWithRoom, holds(body.readableBytes) { return }
    holdsNothing()
    answer.state = .relayingBytes
    begin(leg, head)
    relay(body, leg)
  }

  private func begin(_ leg: UpstreamLeg, _ head: UpstreamHead) {
    let isFirst = !machine.hasRelayed
    relayBegins(leg)
    guard isFirst else { return }
    startAnswer(head.status, head.headers)
  }

  /// The client gets its head.
  func startAnswer(_ status: HTTPResponseStatus, _ headers: HTTPHeaders) {
    writer.onWritable { self.resumeReading() }
    writer.isFlushedByOwner = true
    writer.start(status, headers: ForwardedHeaders.response(headers, requestID: requestID))
  }

  private func relayEvents(_ events: ByteBuffer, _ leg: UpstreamLeg) {
    guard let followed = migration?.take(events) else { return relay(events, leg) }
    relay(followed.events, leg)
    if let fault = followed.fault { failLeg(leg, fault) }
  }

  /// The worker is read no faster than the client reads.
  private func relay(_ bytes: ByteBuffer, _ leg: UpstreamLeg) {
    if bytes.readableBytes > 0 { sight.partCame() }
    writer.write(bytes)
    if writer.isWritable {
      wait(context.configuration.deadlines.idle, .idle)
    } else {
      leg.pauseReading(true)
      waitForClient()
    }
  }

  private func resumeReading() {
    guard let leg, machine.state == .relaying else { return }
    wait(context.configuration.deadlines.idle, .idle)
    leg.pauseReading(false)
  }
}
