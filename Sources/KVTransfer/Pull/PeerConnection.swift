import CLinux
import KVBlocks

/// A connection to one prefiller after the handshake: one pull at a time, by one thread at a time.
final class PeerConnection: @unchecked Sendable {
  // SAFETY: as `FrameChannel`: owned by the pull that took it from `PeerConnections`, whose lock hands it over.
  let channel: FrameChannel
  /// On a Unix socket.
  let memory: PeerMemory?
  private var lastRequest: UInt64 = 0

  init(_ channel: FrameChannel, memory: PeerMemory?) {
    self.channel = channel
    self.memory = memory
  }

  var transport: String { memory == nil ? "tcp" : "shm" }

  /// Where a pull puts what it gets.
  struct Destination: Sendable {
    var memory: KVMemory
    var blocks: [KVBlockID]
    var wantsChecksums: Bool
  }

  /// A claim that the prefiller granted.
  struct Claim {
    var request: UInt64
    var generation: UInt32
    /// In the prefiller's pool, in the order of the prompt.
    var blocks: [UInt32]
  }

  /// CLAIM → CLAIMED, checked against what the handoff promises.
  func claim(
    _ handoff: KVHandoff, layout: KVLayout, wantsChecksums: Bool, _ patience: Patience
  ) throws(KVTransferError) -> Claim {
    let peer = channel.socket.peer
    guard let id = handoff.id.bytes else { throw .unknownHandoff(handoff.id, peer: peer) }
    lastRequest += 1
    let body = ClaimBody(id: id, wantsChecksums: wantsChecksums).encoded
    try channel.send(Frame(.claim, request: lastRequest, body: body), patience)
    let frame = try receive(patience, for: "CLAIMED")
    if frame.kind == .deny {
      switch try channel.decode({ () throws(WireError) in try DenyBody(decoding: frame.body) }) {
      case .unknown: throw .unknownHandoff(handoff.id, peer: peer)
      case .expired: throw .leaseExpired(handoff.id, peer: peer)
      case .taken: throw .alreadyClaimed(handoff.id, peer: peer)
      }
    }
    guard frame.kind == .claimed else { throw channel.violation("\(frame.kind) in place of CLAIMED") }
    let claimed = try channel.decode { () throws(WireError) in try ClaimedBody(decoding: frame.body) }
    guard claimed.tokens == handoff.tokens else {
      throw .tokensMismatch(handoff.id, promised: handoff.tokens, held: Int(clamping: claimed.tokens))
    }
    guard claimed.blocks.count == layout.blocks(forTokens: handoff.tokens) else {
      throw channel.violation("\(claimed.blocks.count) blocks for \(claimed.tokens) tokens")
    }
    return Claim(request: lastRequest, generation: frame.generation, blocks: claimed.blocks)
  }

  /// Puts the claimed blocks into the first of `destination`'s.
  func fetch(
    _ claim: Claim, into destination: Destination, _ cancellation: PullCancellation, _ patience: Patience
  ) throws(KVTransferError) {
    guard let memory else { return try receiveBlocks(claim, into: destination, patience) }
    for (source, target) in zip(claim.blocks, destination.blocks) {
      guard let bytes = memory.bytes(of: source) else { throw channel.violation("block \(source) outside its pool") }
      try cancellation.check()
      destination.memory.bytes(of: target).copyMemory(from: bytes)
    }
  }

  /// DONE → RELEASED: the blocks were held until now, and are the prefiller's again.
  func finish(_ claim: Claim, _ patience: Patience) throws(KVTransferError) {
    try channel.send(Frame(.done, request: claim.request, generation: claim.generation), patience)
    let frame = try receive(patience, for: "RELEASED")
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

  private func receive(_ patience: Patience, for what: String) throws(KVTransferError) -> Frame {
    let frame = try channel.receive(patience, for: what)
    guard frame.request == lastRequest else { throw channel.violation("an answer to request \(frame.request)") }
    return frame
  }

  private func receiveBlocks(
    _ claim: Claim, into destination: Destination, _ patience: Patience
  ) throws(KVTransferError) {
    var next = 0
    while next < claim.blocks.count {
      let frame = try receive(patience, for: "DATA")
      guard frame.kind == .data, frame.generation == claim.generation else {
        throw channel.violation("\(frame.kind) in place of DATA")
      }
      let data = try channel.decode { () throws(WireError) in try DataBody(decoding: frame.body) }
      let count = Int(data.count)
      guard Int(data.first) == next, count > 0, count <= claim.blocks.count - next,
        data.checksums.count == (destination.wantsChecksums ? count : 0)
      else { throw channel.violation("blocks \(data.first) + \(count) in place of \(next) of \(claim.blocks.count)") }
      let parts = destination.blocks[next..<next + count].map { destination.memory.bytes(of: $0) }
      try channel.socket.receive(into: parts, patience, for: "a block's bytes")
      for (index, checksum) in data.checksums.enumerated() {
        guard xs_crc32c(0, parts[index].baseAddress, parts[index].count) == checksum else {
          throw .corrupt(block: next + index, peer: channel.socket.peer)
        }
      }
      next += count
    }
  }
}
