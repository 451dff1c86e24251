import NIOCore
import NIOHTTP1
import ServingAPI

/// One stream's way over decoders, as a value: its events in, what the client gets and what to ask for next out.
///
/// The only order: `begins` when a decoder's first event is there, `take` for all its events, `remedy` when it has
/// failed; and again.
package struct StreamMigration: Sendable {
  package enum Remedy: Sendable {
    /// The answer is complete but for this.
    case complete(ByteBuffer)
    /// The rest is to be asked for, at `/v1/completions`.
    case ask(ClientBody)
    case impossible
  }

  static let target = "/v1/completions"

  private let body: ClientBody
  private var trail: TokenTrail
  private var continuation: Continuation?
  private var splice: StreamSplice?
  /// The decoder whose events come is a worker of ours, and knows all of the output.
  private var isOurs = false
  /// Characters of the rest that the client has already; nil if the rest begins where the client's text ends.
  private var known: Int?
  private var migrations = 0

  /// - Returns: nil if the request is none whose stream can be followed. Whether it can be continued is looked at when
  ///   that is needed.
  init?(of body: ClientBody, _ endpoint: Endpoint, limit: Int) {
    guard endpoint == .completions || endpoint == .chat else { return nil }
    self.init(of: body, kind: endpoint == .chat ? .chat : .completions, limit: limit)
  }

  package init?(of body: ClientBody, kind: TokenTrail.Kind, limit: Int) {
    guard limit > 0, body.isStreamed, !body.asksForSeveralSequences else { return nil }
    self.body = body
    trail = TokenTrail(
      kind, hidesIDs: body.text(of: "return_token_ids") != "true", heldBack: Continuation.heldBack(for: body))
  }

  /// The stream ended without its `[DONE]`, and could go on.
  var isCutOff: Bool { trail.canBeFollowed && !trail.isDone }

  /// - Returns: Why this decoder's answer cannot be used.
  package mutating func begins(_ headers: HTTPHeaders) -> LegFault? {
    guard let continuation else {
      isOurs = headers.first(name: "server") == "xpyd"
      return nil
    }
    if known == nil {
      isOurs = trail.outputIDs.isEmpty || headers.contains(name: HeaderNames.continued)
      guard isOurs || !continuation.hasStop else { return .cannotContinue }
    } else {
      // What a worker of ours holds back is another part.
      guard headers.first(name: "server") != "xpyd" else { return .cannotContinue }
      isOurs = false
    }
    do {
      splice = try StreamSplice(
        continuation, after: trail, isOurs: isOurs, migrations: migrations, before: splice?.inexact, known: known ?? 0)
    } catch {
      return .cannotContinue
    }
    return nil
  }

  /// - Parameter events: Whole ones.
  /// - Returns: What the client gets, and why the rest is not to be read.
  package mutating func take(_ events: ByteBuffer) -> (events: ByteBuffer, fault: LegFault?) {
    guard splice != nil else {
      let (kept, hasError) = trail.take(events)
      return (kept, hasError ? .errorEvent : nil)
    }
    do {
      let (worded, hasError) = try splice!.take(events, noting: &trail)
      return (worded, hasError ? .errorEvent : nil)
    } catch {
      return (ByteBuffer(), .malformed(.malformed("an event is no completion's")))
    }
  }

  var kind: TokenTrail.Kind { trail.kind }

  /// A prefiller's token is the stream's first.
  ///
  /// - Returns: What the client gets of it, and what comes next, which is possible; nil if nothing is, and the stream has
  ///   not begun.
  mutating func begin(with first: FirstToken) -> (events: ByteBuffer, rest: Remedy)? {
    var begun = self
    let (events, fault) = begun.take(first.events)
    let rest = begun.remedy()
    if case .impossible = rest { return nil }
    guard fault == nil else { return nil }
    self = begun
    return (events, rest)
  }

  package mutating func remedy() -> Remedy {
    if trail.isDone { return .complete(ByteBuffer()) }
    guard trail.canBeFollowed,
      let continuation = continuation ?? Continuation(body, kind: trail.kind)
    else { return .impossible }
    if trail.isFinished {
      guard let splice = try? StreamSplice(continuation, after: trail, isOurs: isOurs) else { return .impossible }
      return .complete(splice.closing(trail))
    }
    let hasText = !trail.outputIDs.isEmpty || known != nil
    known = nil
    if !isOurs, continuation.hasStop, hasText {
      guard trail.hidesIDs, continuation.canRepeat, let known = trail.rewind() else { return .impossible }
      self.known = known
    } else if !isOurs, trail.hidesIDs, continuation.logprobs == nil {
      // A worker of ours goes on in the middle of a character; others begin after the last whole one.
      trail.dropUnseen()
    }
    guard let bytes = continuation.body(after: trail, tellsEarlier: known == nil), let rest = try? ClientBody(bytes)
    else { return .impossible }
    self.continuation = continuation
    migrations += 1
    return .ask(rest)
  }
}

extension RequestExchange {
  /// The decoder failed in the middle of the answer.
  func resume() -> TwoLegRequest.Action {
    switch migration?.remedy() {
    case nil, .impossible:
      context.metrics.migrated(.impossible)
      return machine.notResumed()
    case .complete(let rest):
      writer.write(rest)
      relayEnded()
      return .nothing
    case .ask(let body):
      context.metrics.migrated(.resumed)
      ask(for: AskedRequest(target: StreamMigration.target, body: body))
      log(.notice, "Stream goes on elsewhere", [:])
      // A prefiller that pushes would begin the stream anew.
      let isAlone = plan.route == .decoderAlone || pushedTo != nil
      return machine.resumed(isAlone ? .decoderAlone : body.route(under: plan.handoff))
    }
  }
}
