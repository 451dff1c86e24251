import CLinux
import KVBlocks

/// Claims of handoffs whose prompts are still being computed.
extension ServedConnection {
  /// How often a thread that waits for the model looks whether its decoder is still there.
  private static let lookout = Duration.milliseconds(100)

  var prefillPatience: Patience {
    let timeouts = context.configuration.timeouts
    return Patience(stall: timeouts.stall, whole: timeouts.prefill + timeouts.pull)
  }

  /// FOLLOWING, then what is there as it comes, to the claim's end.
  /// - Throws: If the decoder is gone, breaks the protocol or is too slow; the claim is the caller's to end then.
  func follow(_ publication: KVPublication, _ served: ServedClaim) throws(KVTransferError) {
    let patience = prefillPatience
    try send(.following, served, served.claimed.encoded, patience)
    guard try sendAll(publication, served, patience) else { return try deny(.failed, served.request, patience) }
    guard sendsBlocks(served.body) else { return try release(served, refusal: .failed, patience) }
    // They have left our memory, so their acknowledgement is not waited for: it costs a way to the decoder and back.
    guard context.handoffs.holds(served.id, served.claim) else { return try deny(.failed, served.request, patience) }
    try send(.held, served, [], patience)
    try awaitDone(served, patience)
    _ = context.handoffs.finish(served.id, served.claim)
  }

  /// Waits for the prompt's end in place of a decoder that cannot follow.
  /// - Returns: False if it does not come.
  func awaitComputation(of publication: KVPublication, _ served: ServedClaim) throws(KVTransferError) -> Bool {
    let patience = prefillPatience
    var heartbeat = Heartbeat(stall: patience.stall)
    while true {
      switch publication.computed(until: .now + Self.lookout) {
      case .progress: return true
      case .failed: return false
      case .none: try keepAlive(served, &heartbeat, patience)
      }
    }
  }

  /// - Returns: False if the prompt will not be computed to its end.
  private func sendAll(
    _ publication: KVPublication, _ served: ServedClaim, _ patience: Patience
  ) throws(KVTransferError) -> Bool {
    let layout = context.memory.layout
    var sent = KVProgress(layers: layout.layers, total: served.entry.blocks.count)
    var heartbeat = Heartbeat(stall: patience.stall)
    while !sent.isComplete {
      switch publication.news(past: sent, until: .now + Self.lookout) {
      case .progress(let there):
        while let pieces = sent.next(toward: there, atMost: layout.piecesPerFrame) {
          try send(pieces, served, patience)
          _ = sent.add(pieces)
        }
        heartbeat = Heartbeat(stall: patience.stall)
      case .failed: return false
      case .none: try keepAlive(served, &heartbeat, patience)
      }
    }
    return true
  }

  private func send(_ pieces: KVPieces, _ served: ServedClaim, _ patience: Patience) throws(KVTransferError) {
    let (memory, blocks) = (context.memory, served.entry.blocks)
    let parts = pieces.map { UnsafeRawBufferPointer(memory.bytes(of: blocks[$1], layer: $0)) }
    let checksum = served.body.wantsChecksums ? parts.reduce(0) { xs_crc32c($0, $1.baseAddress, $1.count) } : nil
    let frame = Frame(
      .pieces, request: served.request, generation: served.entry.lease.generation,
      body: PiecesBody(pieces: pieces, checksum: checksum).encoded)
    try channel.send(frame, payload: sendsBlocks(served.body) ? parts : [], patience)
  }

  /// The decoder hears of us, and we notice if it has gone.
  private func keepAlive(
    _ served: ServedClaim, _ heartbeat: inout Heartbeat, _ patience: Patience
  ) throws(KVTransferError) {
    let peer = channel.socket.peer
    guard .now < patience.end else { throw .timedOut(what: "end of a prefill for \(peer)", after: patience.whole) }
    guard !channel.socket.hasEnded else { throw .peerClosed(peer: peer, during: "a prefill") }
    if heartbeat.isDue(at: .now) { try send(.beat, served, [], patience) }
  }
}

/// A few beats within what the decoder takes for a stall.
private struct Heartbeat {
  private let interval: Duration
  private var next: ContinuousClock.Instant

  init(stall: Duration) {
    interval = stall / 4
    next = .now + interval
  }

  mutating func isDue(at now: ContinuousClock.Instant) -> Bool {
    guard now >= next else { return false }
    next = now + interval
    return true
  }
}
