import CLinux

/// What crosses a transfer connection: a header of 40 bytes, then a body of at most 256 KiB.
///
/// Little endian: magic `KVX1`, version u16, type u16, flags u32, body length u32, request u64, generation u32,
/// sequence u64, CRC32C u32 of header (this field zero) and body. The blocks that a DATA frame announces follow it
/// and are no part of its body.
package struct Frame: Sendable, Equatable {
  package enum Kind: UInt16, Sendable {
    // Handshake.
    case hello = 1
    case welcome = 2
    case prove = 3
    case ready = 4
    case reject = 5
    // One pull.
    case claim = 16
    case claimed = 17
    case deny = 18
    case data = 19
    case done = 20
    case released = 21
    // In place of a claim.
    case abandon = 22
    // In place of a claim, and only where READY offers it.
    case locate = 23
    case located = 24
    // In place of CLAIMED and DATA, and only where CLAIM allows it.
    case following = 25
    case pieces = 26
    case held = 27
    /// The prompt is still being computed.
    case beat = 28
    // One push; on the receiver's own port.
    case reserve = 32
    case granted = 33
    case refused = 34
    case offer = 35
    case stored = 36

    /// Those that came after version 1 was spoken, and that a receiver may skip.
    var isOptional: Bool { self == .abandon || self == .beat }
  }

  package static let headerBytes = 40
  package static let bodyLimit = 256 * 1024
  /// "KVX1" as it lies on the wire.
  package static let magic: UInt32 = 0x3158_564B
  /// A receiver that does not know the type skips the frame.
  package static let optionalFlag: UInt32 = 1

  package var kind: Kind
  /// Numbers the pulls of a connection; 0 in the handshake.
  package var request: UInt64 = 0
  /// The claim's number on its handoff, from CLAIMED on.
  package var generation: UInt32 = 0
  package var body: [UInt8] = []

  package init(_ kind: Kind, request: UInt64 = 0, generation: UInt32 = 0, body: [UInt8] = []) {
    self.kind = kind
    self.request = request
    self.generation = generation
    self.body = body
  }

  /// Header and body as they go on the wire.
  package func encoded(version: UInt16, sequence: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.integer(Self.magic)
    writer.integer(version)
    writer.integer(kind.rawValue)
    writer.integer(kind.isOptional ? Self.optionalFlag : 0)
    writer.integer(UInt32(body.count))
    writer.integer(request)
    writer.integer(generation)
    writer.integer(sequence)
    let checksum = Self.checksum(header: writer.bytes, body: body)
    writer.integer(checksum)
    writer.raw(body)
    return writer.bytes
  }

  /// - Parameter header: The first 36 bytes.
  package static func checksum(header: [UInt8], body: [UInt8]) -> UInt32 {
    xs_crc32c(xs_crc32c(xs_crc32c(0, header, header.count), [0, 0, 0, 0], 4), body, body.count)
  }
}

/// A frame's header as received: magic and length are checked, nothing else yet.
struct FrameHeader {
  let version: UInt16
  let kind: UInt16
  let flags: UInt32
  let bodyBytes: Int
  let request: UInt64
  let generation: UInt32
  let sequence: UInt64
  let checksum: UInt32

  init(_ bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    guard try reader.integer(UInt32.self) == Frame.magic else { throw WireError(text: "not a KVX1 frame") }
    version = try reader.integer()
    kind = try reader.integer()
    flags = try reader.integer()
    bodyBytes = Int(try reader.integer(UInt32.self))
    request = try reader.integer()
    generation = try reader.integer()
    sequence = try reader.integer()
    checksum = try reader.integer()
    guard bodyBytes <= Frame.bodyLimit else { throw WireError(text: "a frame of \(bodyBytes) bytes") }
  }
}
