import KVBlocks
import Logging

/// One prefiller's connection to this receiver, on its own thread: handshake, then one prompt after the other, each
/// RESERVE → GRANTED → OFFER → (the receiver pulls) → STORED.
struct PushConnection {
  /// What all connections share.
  struct Context: Sendable {
    var buffer: ReceiveBuffer
    var puller: Puller
    var identity: KVIdentity
    var incarnation: String
    var configuration: TransferConfiguration
    /// As `ReceiveLedger.Limits.grant`.
    var grant: Duration
    var logger: Logger
  }

  let channel: FrameChannel
  let context: Context

  /// Serves until the peer leaves, breaks the protocol or is too slow.
  func run() {
    do throws(KVTransferError) {
      let timeouts = context.configuration.timeouts
      guard
        try Handshake.welcome(
          channel, as: context.identity, incarnation: context.incarnation, secret: context.configuration.secret,
          timeout: timeouts.handshake) != nil
      else {
        return context.logger.warning("KV push peer refused", metadata: ["peer": "\(channel.socket.peer)"])
      }
      try channel.send(Frame(.ready, body: ReadyBody().encoded), patience)
      while true {
        channel.socket.waitForBytes()
        try serve(try channel.receive(patience, for: "RESERVE"))
      }
    } catch {
      if case .peerClosed(_, "RESERVE") = error { return }
      context.logger.warning("KV push connection dropped", metadata: ["error": "\(error)"])
    }
  }

  private var patience: Patience {
    Patience(stall: context.configuration.timeouts.stall, whole: context.configuration.timeouts.pull)
  }

  private func serve(_ frame: Frame) throws(KVTransferError) {
    guard frame.kind == .reserve else { throw channel.violation("\(frame.kind) in place of RESERVE") }
    let body = try channel.decode { () throws(WireError) in try ReserveBody(decoding: frame.body) }
    guard body.tokens > 0, let tokens = Int32(exactly: body.tokens) else {
      throw channel.violation("a prompt of \(body.tokens) tokens")
    }
    let layout = context.identity.layout
    let blocks = layout.blocks(forTokens: Int(tokens))
    let wait = min(Duration.milliseconds(Int(body.waitMilliseconds)), Self.longestWait)
    switch context.buffer.reserve(body.key, blocks: blocks, until: .now + wait) {
    case .known: try channel.send(Frame(.stored, request: frame.request), patience)
    case .full: try refuse(RefusedBody(.full), frame.request)
    case .neverFits(let capacity):
      try refuse(
        RefusedBody(
          .tooLarge, needed: UInt64(blocks * layout.bytesPerBlock), capacity: UInt64(capacity * layout.bytesPerBlock)),
        frame.request)
    case .granted(let reservation): try take(reservation, body, frame.request)
    }
  }

  /// The connection's end gives the room back, whatever the moment.
  private func take(
    _ reservation: ReceiveLedger.Reservation, _ reserved: ReserveBody, _ request: UInt64
  ) throws(KVTransferError) {
    defer { context.buffer.cancel(reservation) }
    try channel.send(Frame(.granted, request: request), patience)
    let frame = try channel.receive(Patience(stall: context.grant, whole: context.grant), for: "OFFER")
    guard frame.kind == .offer, frame.request == request else {
      throw channel.violation("\(frame.kind) in place of OFFER")
    }
    let offer = try channel.decode { () throws(WireError) in try OfferBody(decoding: frame.body) }
    guard offer.tokens == reserved.tokens else {
      throw channel.violation("an offer of \(offer.tokens) tokens in place of \(reserved.tokens)")
    }
    guard let blocks = context.buffer.fill(reservation) else {
      return try refuse(RefusedBody(.failed, text: "the prefill took longer than \(context.grant)"), request)
    }
    switch pull(offer, into: blocks) {
    case .success:
      context.buffer.store(reservation, as: reserved.key, tokens: Int(offer.tokens))
      try channel.send(Frame(.stored, request: request), patience)
    case .failure(let error):
      context.buffer.fail(reservation)
      context.logger.warning("KV push not received", metadata: ["reason": "\(error)"])
      try refuse(RefusedBody(.failed, text: "\(error)"), request)
    }
  }

  /// Waits on this connection's own thread for the puller's.
  private func pull(_ offer: OfferBody, into blocks: [KVBlockID]) -> Result<KVPullReport, KVTransferError> {
    let handoff = KVHandoff(
      id: KVHandoff.ID(bytes: offer.id), engineID: offer.engineID, host: offer.host, port: Int(offer.port), blocks: [],
      tokens: Int(offer.tokens))
    let outcome = Monitor<Result<KVPullReport, KVTransferError>?>(nil)
    Task {
      let result: Result<KVPullReport, KVTransferError>
      do throws(KVTransferError) {
        result = .success(try await context.puller.pull(handoff, into: blocks))
      } catch {
        result = .failure(error)
      }
      outcome.update { $0 = result }
    }
    return outcome.wait { $0.map { .done($0) } ?? .wait(until: nil) }
  }

  private func refuse(_ body: RefusedBody, _ request: UInt64) throws(KVTransferError) {
    try channel.send(Frame(.refused, request: request, body: body.encoded), patience)
  }

  /// Whatever a sender asks for.
  private static let longestWait = Duration.seconds(600)
}
