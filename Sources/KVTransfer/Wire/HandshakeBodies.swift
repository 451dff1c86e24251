import KVBlocks

/// Decoder → prefiller, first. Its version range is read before anything else, so it may never move.
package struct HelloBody: Equatable {
  package var versions: ClosedRange<UInt16>
  package var nonce: [UInt8]
  package var engineID: String
  /// Boot and network namespace; empty: the decoder wants no shared memory.
  package var host: String

  package init(versions: ClosedRange<UInt16>, nonce: [UInt8], engineID: String, host: String) {
    self.versions = versions
    self.nonce = nonce
    self.engineID = engineID
    self.host = host
  }
}

/// Prefiller → decoder: what its KV is.
package struct WelcomeBody: Equatable {
  package var version: UInt16
  package var nonce: [UInt8]
  package var incarnation: String
  package var identity: KVIdentity

  package init(version: UInt16, nonce: [UInt8], incarnation: String, identity: KVIdentity) {
    self.version = version
    self.nonce = nonce
    self.incarnation = incarnation
    self.identity = identity
  }
}

/// Prefiller → decoder, once it believes the decoder.
package struct ReadyBody: Equatable {
  /// On TCP: the abstract Unix socket where the same server listens; empty: none for this peer.
  package var unixName = ""
  /// On a Unix socket: blocks in the pool whose descriptor comes with this frame. On TCP: blocks in the pool that NIXL can
  /// read, and LOCATE asks where; 0: it cannot.
  package var poolBlocks: UInt64 = 0

  package init(unixName: String = "", poolBlocks: UInt64 = 0) {
    self.unixName = unixName
    self.poolBlocks = poolBlocks
  }
}

/// Prefiller → decoder, last.
package struct RejectBody: Equatable {
  package enum Reason: UInt16 { case version = 1, unauthorized = 2, busy = 3 }
  package var reason: Reason
  package var versions: ClosedRange<UInt16>

  package init(reason: Reason, versions: ClosedRange<UInt16>) {
    self.reason = reason
    self.versions = versions
  }
}

extension HelloBody {
  package static let nonceBytes = 32

  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.versions(versions)
    writer.raw(nonce)
    writer.string(engineID)
    writer.string(host)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    versions = try reader.versions()
    nonce = Array(try reader.raw(Self.nonceBytes))
    engineID = try reader.string()
    host = try reader.string()
    try reader.end()
  }

  /// What every version of HELLO starts with.
  static func versions(in bytes: [UInt8]) throws(WireError) -> ClosedRange<UInt16> {
    var reader = ByteReader(bytes)
    return try reader.versions()
  }
}

extension WelcomeBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(version)
    writer.raw(nonce)
    writer.string(incarnation)
    writer.string(identity.engineID)
    writer.string(identity.model)
    writer.string(identity.tokenizer)
    let layout = identity.layout
    for value in [layout.layers, layout.kvHeads, layout.headDim, layout.blockSize] { writer.integer(UInt32(value)) }
    writer.string(layout.elementType.rawValue)
    return writer.bytes
  }

  init(decoding reader: inout ByteReader) throws(WireError) {
    version = try reader.integer()
    nonce = Array(try reader.raw(HelloBody.nonceBytes))
    incarnation = try reader.string()
    let (engineID, model, tokenizer) = (try reader.string(), try reader.string(), try reader.string())
    let layout = try reader.layout()
    identity = KVIdentity(engineID: engineID, model: model, tokenizer: tokenizer, layout: layout)
  }
}

extension ReadyBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.string(unixName)
    writer.integer(poolBlocks)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    unixName = try reader.string()
    poolBlocks = try reader.integer()
    try reader.end()
  }
}

extension RejectBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(reason.rawValue)
    writer.versions(versions)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    guard let reason = Reason(rawValue: try reader.integer()) else { throw WireError(text: "an unknown reject reason") }
    self.reason = reason
    versions = try reader.versions()
  }
}

extension ByteWriter {
  fileprivate mutating func versions(_ range: ClosedRange<UInt16>) {
    integer(range.lowerBound)
    integer(range.upperBound)
  }
}

extension ByteReader {
  fileprivate mutating func versions() throws(WireError) -> ClosedRange<UInt16> {
    let (lowest, highest) = (try integer(UInt16.self), try integer(UInt16.self))
    guard lowest <= highest else { throw WireError(text: "versions \(lowest) to \(highest)") }
    return lowest...highest
  }

  fileprivate mutating func layout() throws(WireError) -> KVLayout {
    var sizes: [Int] = []
    for _ in 0..<4 {
      let size = Int(try integer(UInt32.self))
      guard (1...65_536).contains(size) else { throw WireError(text: "a KV layout with a size of \(size)") }
      sizes.append(size)
    }
    guard let elementType = KVLayout.ElementType(rawValue: try string()) else {
      throw WireError(text: "a KV layout with an unknown element type")
    }
    guard sizes[2] % elementType.blockElements == 0 else {
      throw WireError(text: "a KV layout with heads of \(sizes[2]) in \(elementType.rawValue)")
    }
    return KVLayout(
      layers: sizes[0], kvHeads: sizes[1], headDim: sizes[2], elementType: elementType, blockSize: sizes[3])
  }
}
