import KVBlocks

/// Decoder → prefiller: give me this handoff.
package struct ClaimBody: Equatable {
  /// The 16 bytes of the handoff's id.
  package var id: [UInt8]
  package var wantsChecksums: Bool
  /// The decoder reads the blocks over NIXL: DATA brings the checksums alone.
  package var readsBlocks: Bool
  /// If the prompt is still being computed, the decoder takes FOLLOWING for an answer; else it waits for CLAIMED.
  package var follows: Bool

  package init(id: [UInt8], wantsChecksums: Bool, readsBlocks: Bool = false, follows: Bool = false) {
    self.id = id
    self.wantsChecksums = wantsChecksums
    self.readsBlocks = readsBlocks
    self.follows = follows
  }
}

/// Decoder → prefiller, in place of CLAIM and without an answer: nobody will pull this handoff.
package struct AbandonBody: Equatable {
  /// The 16 bytes of the handoff's id.
  package var id: [UInt8]

  package init(id: [UInt8]) { self.id = id }
}

/// Prefiller → decoder, in answer to LOCATE: how NIXL reads its pool.
package struct LocatedBody: Equatable, Sendable {
  /// Of its agent.
  package var name: String
  /// Where the pool begins in its memory.
  package var base: UInt64
  /// NIXL's own; empty: it cannot be read just now.
  package var metadata: [UInt8]

  package init(name: String, base: UInt64, metadata: [UInt8]) {
    self.name = name
    self.base = base
    self.metadata = metadata
  }
}

/// Prefiller → decoder: it is yours while this connection lives. FOLLOWING has the same body.
package struct ClaimedBody: Equatable {
  package var tokens: UInt64
  /// Where the blocks lie in the prefiller's pool.
  package var blocks: [UInt32]

  package init(tokens: UInt64, blocks: [UInt32]) {
    self.tokens = tokens
    self.blocks = blocks
  }
}

/// Prefiller → decoder: you cannot have it.
package enum DenyBody: UInt16 {
  case unknown = 1
  case expired = 2
  case taken = 3
  /// After FOLLOWING only: the prompt will not be computed to its end.
  case failed = 4
}

/// Prefiller → decoder: `count` blocks from the handoff's `first` on follow this frame.
package struct DataBody: Equatable {
  package var first: UInt32
  package var count: UInt32
  /// CRC32C of each block, or none.
  package var checksums: [UInt32]

  package init(first: UInt32, count: UInt32, checksums: [UInt32]) {
    self.first = first
    self.count = count
    self.checksums = checksums
  }
}

/// Prefiller → decoder: these are there. On TCP their bytes follow this frame.
package struct PiecesBody: Equatable {
  package var pieces: KVPieces
  /// CRC32C of the pieces' bytes in their order, if CLAIM wanted it.
  package var checksum: UInt32?

  package init(pieces: KVPieces, checksum: UInt32?) {
    self.pieces = pieces
    self.checksum = checksum
  }
}

extension ClaimBody {
  static let idBytes = 16

  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.raw(id)
    writer.integer(UInt8((wantsChecksums ? 1 : 0) | (readsBlocks ? 2 : 0) | (follows ? 4 : 0)))
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    id = Array(try reader.raw(Self.idBytes))
    let flags = try reader.integer(UInt8.self)
    (wantsChecksums, readsBlocks, follows) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0)
    try reader.end()
  }
}

extension LocatedBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.string(name)
    writer.integer(base)
    writer.raw(metadata)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    name = try reader.string()
    base = try reader.integer()
    metadata = Array(try reader.raw(reader.remaining))
  }
}

extension AbandonBody {
  package var encoded: [UInt8] { id }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    id = Array(try reader.raw(ClaimBody.idBytes))
    try reader.end()
  }
}

extension ClaimedBody {
  /// More would not fit in one frame: a million tokens at 16 a block.
  package static let blockLimit = 65_000

  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(tokens)
    writer.integer(UInt32(blocks.count))
    for block in blocks { writer.integer(block) }
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    tokens = try reader.integer()
    blocks = try reader.words()
    try reader.end()
  }
}

extension DenyBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(rawValue)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    guard let reason = DenyBody(rawValue: try reader.integer()) else {
      throw WireError(text: "an unknown reason to deny")
    }
    self = reason
  }
}

extension DataBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(first)
    writer.integer(count)
    writer.integer(UInt32(checksums.count))
    for checksum in checksums { writer.integer(checksum) }
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    first = try reader.integer()
    count = try reader.integer()
    checksums = try reader.words()
    try reader.end()
  }
}

extension PiecesBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    for range in [pieces.layers, pieces.blocks] {
      writer.integer(UInt32(range.lowerBound))
      writer.integer(UInt32(range.count))
    }
    writer.integer(UInt8(checksum == nil ? 0 : 1))
    writer.integer(checksum ?? 0)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    pieces = KVPieces(layers: try reader.range(), blocks: try reader.range())
    let hasChecksum = try reader.integer(UInt8.self) != 0
    let value = try reader.integer(UInt32.self)
    checksum = hasChecksum ? value : nil
    try reader.end()
  }
}

extension ByteReader {
  /// First and count; their sum cannot overflow.
  fileprivate mutating func range() throws(WireError) -> Range<Int> {
    let first = Int(try integer(UInt32.self))
    return first..<first + Int(try integer(UInt32.self))
  }

  /// A count, then that many words; the count is checked against the bytes that are there.
  fileprivate mutating func words() throws(WireError) -> [UInt32] {
    let count = Int(try integer(UInt32.self))
    guard count <= remaining / 4 else { throw WireError(text: "a frame ends before its fields do") }
    var words: [UInt32] = []
    words.reserveCapacity(count)
    for _ in 0..<count { words.append(try integer()) }
    return words
  }
}
