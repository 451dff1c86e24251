import CLinux
import KVBlocks

/// A connection to one prefiller after the handshake: one pull at a time, by one thread at a time.
final class PeerConnection: @unchecked Sendable {
  // SAFETY: as `FrameChannel`: owned by the pull that took it from `PeerConnections`, whose lock hands it over.
  let channel: FrameChannel
  let way: Way
  let wantsChecksums: Bool
  private var lastRequest: UInt64 = 0

  /// How the blocks come.
  enum Way {
    /// In DATA frames.
    case wire
    /// On a Unix socket: out of the prefiller's pool, which is mapped here.
    case mapped(PeerMemory)
    case nixl(NixlPeer)
  }

  init(_ channel: FrameChannel, _ way: Way, checksums: TransferConfiguration.Checksums) {
    self.channel = channel
    self.way = way
    wantsChecksums = checksums == .always || (checksums == .wire && Self.transport(of: way) != "shm")
  }

  var transport: String { Self.transport(of: way) }

  private static func transport(of way: Way) -> String {
    switch way {
    case .wire: "tcp"
    case .mapped: "shm"
    case .nixl: "nixl"
    }
  }

  /// Where a pull puts what it gets.
  struct Destination: Sendable {
    var memory: KVMemory
    var blocks: [KVBlockID]
  }

  /// A claim that the prefiller granted.
  struct Claim {
    var id: KVHandoff.ID
    var request: UInt64
    var generation: UInt32
    /// In the prefiller's pool, in the order of the prompt.
    var blocks: [UInt32]
    /// The prompt is still being computed.
    var isFollowed: Bool
  }

  /// CLAIM → CLAIMED or FOLLOWING, checked against what the handoff promises.
  func claim(
    _ handoff: KVHandoff, layout: KVLayout, _ patience: Patience
  ) throws(KVTransferError) -> Claim {
    guard let id = handoff.id.bytes else { throw .unknownHandoff(handoff.id, peer: channel.socket.peer) }
    lastRequest += 1
    let readsBlocks = if case .nixl = way { true } else { false }
    let follows = handoff.isEarly && !readsBlocks
    let body = ClaimBody(id: id, wantsChecksums: wantsChecksums, readsBlocks: readsBlocks, follows: follows).encoded
    try channel.send(Frame(.claim, request: lastRequest, body: body), patience)
    let frame = try receive(patience, for: "CLAIMED")
    if frame.kind == .deny { throw try refusal(frame, of: handoff.id) }
    guard frame.kind == .claimed || (follows && frame.kind == .following) else {
      throw channel.violation("\(frame.kind) in place of CLAIMED")
    }
    let claimed = try channel.decode { () throws(WireError) in try ClaimedBody(decoding: frame.body) }
    guard claimed.tokens == handoff.tokens else {
      throw .tokensMismatch(handoff.id, promised: handoff.tokens, held: Int(clamping: claimed.tokens))
    }
    guard claimed.blocks.count == layout.blocks(forTokens: handoff.tokens) else {
      throw channel.violation("\(claimed.blocks.count) blocks for \(claimed.tokens) tokens")
    }
    return Claim(
      id: handoff.id, request: lastRequest, generation: frame.generation, blocks: claimed.blocks,
      isFollowed: frame.kind == .following)
  }

  /// What DENY says.
  func refusal(_ frame: Frame, of id: KVHandoff.ID) throws(KVTransferError) -> KVTransferError {
    let peer = channel.socket.peer
    switch try channel.decode({ () throws(WireError) in try DenyBody(decoding: frame.body) }) {
    case .unknown: return .unknownHandoff(id, peer: peer)
    case .expired: return .leaseExpired(id, peer: peer)
    case .taken: return .alreadyClaimed(id, peer: peer)
    case .failed: return .prefillFailed(id, peer: peer)
    }
  }

  /// Puts the claimed blocks into the first of `destination`'s.
  func fetch(
    _ claim: Claim, into destination: Destination, _ cancellation: PullCancellation, _ patience: Patience
  ) throws(KVTransferError) {
    switch way {
    case .wire: try receiveBlocks(claim, into: destination, patience)
    case .mapped(let memory): try copyBlocks(claim, of: memory, into: destination, cancellation, patience)
    case .nixl(let peer): try readBlocks(claim, of: peer, into: destination, cancellation, patience)
    }
  }

  private func readBlocks(
    _ claim: Claim, of peer: NixlPeer, into destination: Destination, _ cancellation: PullCancellation,
    _ patience: Patience
  ) throws(KVTransferError) {
    let socket = channel.socket
    let exist = try peer.read(claim.blocks, into: destination.blocks, patience) {
      cancellation.reason ?? (socket.hasEnded ? .peerClosed(peer: socket.peer, during: "a read over NIXL") : nil)
    }
    guard exist else { throw channel.violation("a block outside its pool") }
    guard wantsChecksums else { return }
    let checksums = zip(claim.blocks, destination.blocks).map { _, target in
      let bytes = destination.memory.bytes(of: target)
      return xs_crc32c(0, bytes.baseAddress, bytes.count)
    }
    try compare(checksums, claim, patience)
  }

  private func copyBlocks(
    _ claim: Claim, of memory: PeerMemory, into destination: Destination, _ cancellation: PullCancellation,
    _ patience: Patience
  ) throws(KVTransferError) {
    let copy = BlockCopy(totalBytes: claim.blocks.count * destination.memory.layout.bytesPerBlock)
    var checksums: [UInt32] = []
    for (source, target) in zip(claim.blocks, destination.blocks) {
      guard let bytes = memory.bytes(of: source) else { throw channel.violation("block \(source) outside its pool") }
      try cancellation.check()
      if wantsChecksums {
        checksums.append(copy.copyWithChecksum(bytes, to: destination.memory.bytes(of: target)))
      } else {
        copy.copy(bytes, to: destination.memory.bytes(of: target))
      }
    }
    if wantsChecksums { try compare(checksums, claim, patience) }
  }

  /// DONE → RELEASED: the blocks were held until now, and are the prefiller's again.
  func finish(_ claim: Claim, _ patience: Patience) throws(KVTransferError) {
    try channel.send(Frame(.done, request: claim.request, generation: claim.generation), patience)
    let frame = try receive(patience, for: "RELEASED")
    if frame.kind == .deny { throw try refusal(frame, of: claim.id) }
    guard frame.kind == .released, frame.generation == claim.generation else {
      throw channel.violation("\(frame.kind) in place of RELEASED")
    }
  }

  /// In place of a claim; nothing answers it.
  func abandon(_ handoff: KVHandoff, _ patience: Patience) throws(KVTransferError) {
    guard let id = handoff.id.bytes else { throw .unknownHandoff(handoff.id, peer: channel.socket.peer) }
    lastRequest += 1
    try channel.send(Frame(.abandon, request: lastRequest, body: AbandonBody(id: id).encoded), patience)
  }

  /// Passes over the beats of a prefiller that is still computing.
  func receive(_ patience: Patience, for what: String) throws(KVTransferError) -> Frame {
    var frame = try channel.receive(patience, for: what)
    while frame.kind == .beat {
      guard .now < patience.end else {
        throw .timedOut(what: "\(what) from \(channel.socket.peer)", after: patience.whole)
      }
      frame = try channel.receive(patience, for: what)
    }
    guard frame.request == lastRequest else { throw channel.violation("an answer to request \(frame.request)") }
    return frame
  }

  private func receiveBlocks(
    _ claim: Claim, into destination: Destination, _ patience: Patience
  ) throws(KVTransferError) {
    var next = 0
    while next < claim.blocks.count {
      let data = try receiveData(claim, from: next, patience)
      let parts = destination.blocks[next..<next + Int(data.count)].map { destination.memory.bytes(of: $0) }
      try channel.socket.receive(into: parts, patience, for: "a block's bytes")
      if wantsChecksums {
        try require(data.checksums, equal: parts.map { xs_crc32c(0, $0.baseAddress, $0.count) }[...], from: next)
      }
      next += parts.count
    }
  }

  /// The prefiller read its blocks while this side copied them.
  private func compare(_ checksums: [UInt32], _ claim: Claim, _ patience: Patience) throws(KVTransferError) {
    var next = 0
    while next < claim.blocks.count {
      let data = try receiveData(claim, from: next, patience)
      try require(data.checksums, equal: checksums[next..<next + Int(data.count)], from: next)
      next += Int(data.count)
    }
  }

  private func require(
    _ theirs: [UInt32], equal ours: ArraySlice<UInt32>, from first: Int
  ) throws(KVTransferError) {
    for (index, (their, our)) in zip(theirs, ours).enumerated() where their != our {
      throw .corrupt(block: first + index, peer: channel.socket.peer)
    }
  }

  /// The next DATA frame, which goes on at block `next` of the claim.
  private func receiveData(
    _ claim: Claim, from next: Int, _ patience: Patience
  ) throws(KVTransferError) -> DataBody {
    let frame = try receive(patience, for: "DATA")
    guard frame.kind == .data, frame.generation == claim.generation else {
      throw channel.violation("\(frame.kind) in place of DATA")
    }
    let data = try channel.decode { () throws(WireError) in try DataBody(decoding: frame.body) }
    let count = Int(data.count)
    guard Int(data.first) == next, count > 0, count <= claim.blocks.count - next,
      data.checksums.count == (wantsChecksums ? count : 0)
    else { throw channel.violation("blocks \(data.first) + \(count) in place of \(next) of \(claim.blocks.count)") }
    return data
  }
}
