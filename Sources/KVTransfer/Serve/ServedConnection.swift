import CLinux
import KVBlocks
import Logging

/// One decoder's connection to this prefiller, on its own thread: handshake, then one claim after the other.
struct ServedConnection {
  /// What all connections share.
  struct Context: Sendable {
    var memory: KVMemory
    var identity: KVIdentity
    var incarnation: String
    var configuration: TransferConfiguration
    var handoffs: PublishedHandoffs
    /// The pool for peers on this host, read-only; nil: no shared memory here.
    var sharedPool: SharedPool?
    /// The pool for peers with NIXL; nil: none here.
    var nixl: NixlAgent?
    var logger: Logger
  }

  let channel: FrameChannel
  let isUnix: Bool
  let context: Context

  /// Serves until the peer leaves, breaks the protocol or is too slow.
  func run() {
    do throws(KVTransferError) {
      guard try shakeHands() else { return }
      while true {
        channel.socket.waitForBytes()
        try serve(try channel.receive(transferPatience, for: "CLAIM"))
      }
    } catch {
      if case .peerClosed(_, "CLAIM") = error { return }
      context.logger.warning("KV transfer connection dropped", metadata: ["error": "\(error)"])
    }
  }

  private var transferPatience: Patience {
    Patience(stall: context.configuration.timeouts.stall, whole: context.configuration.timeouts.pull)
  }

  /// - Returns: False if the decoder was refused.
  private func shakeHands() throws(KVTransferError) -> Bool {
    let configuration = context.configuration
    let hello = try Handshake.welcome(
      channel, as: context.identity, incarnation: context.incarnation, secret: configuration.secret,
      timeout: configuration.timeouts.handshake)
    guard let hello else {
      context.logger.warning("KV transfer peer refused", metadata: ["peer": "\(channel.socket.peer)"])
      return false
    }
    let patience = Patience(stall: configuration.timeouts.handshake, whole: configuration.timeouts.handshake)
    if isUnix, let pool = context.sharedPool {
      let ready = ReadyBody(poolBlocks: UInt64(context.memory.blockCount))
      try channel.send(Frame(.ready, body: ready.encoded), descriptor: pool.descriptor, patience)
    } else {
      let isNeighbour = context.sharedPool != nil && !hello.host.isEmpty && hello.host == Handshake.host
      let ready = ReadyBody(
        unixName: isNeighbour ? SharedPool.unixName(context.incarnation) : "",
        poolBlocks: context.nixl == nil ? 0 : UInt64(context.memory.blockCount))
      try channel.send(Frame(.ready, body: ready.encoded), patience)
    }
    return true
  }

  private func serve(_ frame: Frame) throws(KVTransferError) {
    if frame.kind == .abandon {
      let body = try channel.decode { () throws(WireError) in try AbandonBody(decoding: frame.body) }
      // If its pull is still seen as under way, the blocks are free when that has ended.
      return context.handoffs.withdraw(KVHandoff.ID(bytes: body.id))
    }
    if frame.kind == .locate { return try locate() }
    guard frame.kind == .claim else { throw channel.violation("\(frame.kind) in place of CLAIM") }
    let body = try channel.decode { () throws(WireError) in try ClaimBody(decoding: frame.body) }
    let id = KVHandoff.ID(bytes: body.id)
    let (claim, answer) = context.handoffs.claim(id)
    switch answer {
    case .granted(let entry):
      // The claim ends before the connection does, so that a decoder that sees the end may try again.
      do throws(KVTransferError) {
        try serve(ServedClaim(entry: entry, id: id, claim: claim, request: frame.request, body: body))
      } catch {
        context.handoffs.lose(id, claim)
        context.logger.notice("KV pull not finished", metadata: ["request.id": "\(entry.requestID)"])
        throw error
      }
    case .taken: try deny(.taken, frame.request, transferPatience)
    case .expired: try deny(.expired, frame.request, transferPatience)
    case .unknown: try deny(.unknown, frame.request, transferPatience)
    }
  }

  private func serve(_ served: ServedClaim) throws(KVTransferError) {
    if let publication = served.entry.publication, !publication.isComputed {
      if served.body.follows { return try follow(publication, served) }
      guard try awaitComputation(of: publication, served) else {
        return try deny(.unknown, served.request, transferPatience)
      }
    }
    let patience = transferPatience
    try sendBlocks(served, patience)
    if served.body.readsBlocks { serveReads(of: served.entry, patience) }
    try release(served, refusal: .unknown, patience)
  }

  /// DONE → RELEASED.
  /// - Parameter refusal: What the decoder is told if the blocks were not held until now.
  func release(_ served: ServedClaim, refusal: DenyBody, _ patience: Patience) throws(KVTransferError) {
    try awaitDone(served, patience)
    guard context.handoffs.finish(served.id, served.claim) else { return try deny(refusal, served.request, patience) }
    try send(.released, served, [], patience)
  }

  private func locate() throws(KVTransferError) {
    guard let nixl = context.nixl, !isUnix else { throw channel.violation("LOCATE, which was not offered") }
    let timeout = context.configuration.timeouts.handshake
    let patience = Patience(stall: timeout, whole: timeout)
    var located = LocatedBody(name: "", base: 0, metadata: [])
    do throws(KVTransferError) {
      located = try nixl.advert(until: patience.end)
    } catch {
      context.logger.warning("NIXL cannot be offered", metadata: ["error": "\(error)"])
    }
    try channel.send(Frame(.located, body: located.encoded), patience)
  }

  func deny(_ reason: DenyBody, _ request: UInt64, _ patience: Patience) throws(KVTransferError) {
    try channel.send(Frame(.deny, request: request, body: reason.encoded), patience)
  }

  func send(_ kind: Frame.Kind, _ served: ServedClaim, _ body: [UInt8], _ patience: Patience) throws(KVTransferError) {
    let generation = served.entry.lease.generation
    try channel.send(Frame(kind, request: served.request, generation: generation, body: body), patience)
  }

  func awaitDone(_ served: ServedClaim, _ patience: Patience) throws(KVTransferError) {
    let done = try channel.receive(patience, for: "DONE")
    guard done.kind == .done, done.request == served.request, done.generation == served.entry.lease.generation else {
      throw channel.violation("\(done.kind) in place of DONE")
    }
  }

  /// On a Unix socket and over NIXL the decoder copies them itself.
  func sendsBlocks(_ claim: ClaimBody) -> Bool { !isUnix && !claim.readsBlocks }

  /// Until the decoder has answered, for good or ill. What it has read so far nobody tells, so it has all the time there is.
  private func serveReads(of entry: HandoffLedger.Entry, _ patience: Patience) {
    var pause = SpinThenSleep(moving: entry.blocks.count * context.memory.layout.bytesPerBlock)
    while channel.socket.isQuiet, ContinuousClock.now < patience.end {
      context.nixl?.serveReads(until: patience.end)
      pause.wait()
    }
  }

  /// CLAIMED, and DATA with the blocks, or with their checksums alone.
  private func sendBlocks(_ served: ServedClaim, _ patience: Patience) throws(KVTransferError) {
    let (entry, claim) = (served.entry, served.body)
    try send(.claimed, served, served.claimed.encoded, patience)
    guard sendsBlocks(claim) || claim.wantsChecksums else { return }
    let step = context.memory.layout.blocksPerDataFrame
    for first in stride(from: 0, to: entry.blocks.count, by: step) {
      let payload = entry.blocks[first..<min(first + step, entry.blocks.count)].map {
        UnsafeRawBufferPointer(context.memory.bytes(of: $0))
      }
      let data = DataBody(
        first: UInt32(first), count: UInt32(payload.count),
        checksums: claim.wantsChecksums ? payload.map { xs_crc32c(0, $0.baseAddress, $0.count) } : [])
      try channel.send(
        Frame(.data, request: served.request, generation: entry.lease.generation, body: data.encoded),
        payload: sendsBlocks(claim) ? payload : [], patience)
    }
  }
}

/// A claim that was granted.
struct ServedClaim {
  var entry: HandoffLedger.Entry
  var id: KVHandoff.ID
  var claim: HandoffLease.ClaimID
  var request: UInt64
  var body: ClaimBody

  /// Of CLAIMED and FOLLOWING.
  var claimed: ClaimedBody {
    ClaimedBody(tokens: UInt64(entry.tokens), blocks: entry.blocks.map { UInt32($0.index) })
  }
}

extension KVLayout {
  /// So many that a DATA frame has about 1 MiB: the receiver checks it while the next is on its way.
  var blocksPerDataFrame: Int { max(1, (1 << 20) / bytesPerBlock) }
}
