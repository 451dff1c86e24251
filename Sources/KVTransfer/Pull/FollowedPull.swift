import CLinux
import KVBlocks

/// Pulls of prompts that are still being computed.
extension PeerConnection {
  /// Takes the pieces as they are announced, to the last.
  /// - Returns: When the last ones were announced.
  func follow(
    _ claim: Claim, into destination: Destination, _ cancellation: PullCancellation, _ patience: Patience
  ) throws(KVTransferError) -> ContinuousClock.Instant {
    var have = KVProgress(layers: destination.memory.layout.layers, total: claim.blocks.count)
    var announced = ContinuousClock.now
    let copy = BlockCopy(totalBytes: claim.blocks.count * destination.memory.layout.bytesPerBlock)
    while !have.isComplete {
      let frame = try receive(patience, for: "PIECES")
      announced = .now
      if frame.kind == .deny { throw try refusal(frame, of: claim.id) }
      guard frame.kind == .pieces, frame.generation == claim.generation else {
        throw channel.violation("\(frame.kind) in place of PIECES")
      }
      let body = try channel.decode { () throws(WireError) in try PiecesBody(decoding: frame.body) }
      let pieces = body.pieces
      guard have.add(pieces), (body.checksum != nil) == wantsChecksums else {
        throw channel.violation("layers \(pieces.layers) of blocks \(pieces.blocks), which are not the next")
      }
      try cancellation.check()
      try take(pieces, checksum: body.checksum, claim, into: destination, copy, patience)
    }
    return announced
  }

  private func take(
    _ pieces: KVPieces, checksum: UInt32?, _ claim: Claim, into destination: Destination, _ copy: BlockCopy,
    _ patience: Patience
  ) throws(KVTransferError) {
    let (memory, blocks) = (destination.memory, destination.blocks)
    let targets = pieces.map { memory.bytes(of: blocks[$1], layer: $0) }
    var found: UInt32 = 0
    if case .mapped(let pool) = way {
      let sources = pieces.map { layer, index in pool.bytes(of: claim.blocks[index], layer: layer) }
      for (source, target) in zip(sources, targets) {
        guard let source else { throw channel.violation("a block outside its pool") }
        if checksum == nil {
          copy.copy(source, to: target)
        } else {
          found = copy.copyWithChecksum(source, to: target, after: found)
        }
      }
    } else {
      try channel.socket.receive(into: targets, patience, for: "the bytes of a prompt's pieces")
      if checksum != nil { found = targets.reduce(0) { xs_crc32c($0, $1.baseAddress, $1.count) } }
    }
    if let checksum, checksum != found { throw .corrupt(block: pieces.blocks.lowerBound, peer: channel.socket.peer) }
  }

  /// What is there was held until it was read: on TCP that comes with the last pieces, and DONE needs no answer.
  func finishFollowing(_ claim: Claim, _ patience: Patience) throws(KVTransferError) {
    guard case .wire = way else { return try finish(claim, patience) }
    let frame = try receive(patience, for: "HELD")
    if frame.kind == .deny { throw try refusal(frame, of: claim.id) }
    guard frame.kind == .held, frame.generation == claim.generation else {
      throw channel.violation("\(frame.kind) in place of HELD")
    }
    try channel.send(Frame(.done, request: claim.request, generation: claim.generation), patience)
  }
}
