/// Sender → receiver, before it computes anything: may I send this prompt's KV?
package struct ReserveBody: Equatable {
  package var key: PromptKey
  package var tokens: UInt64
  /// How long to wait for room at most.
  package var waitMilliseconds: UInt32

  package init(key: PromptKey, tokens: UInt64, waitMilliseconds: UInt32) {
    self.key = key
    self.tokens = tokens
    self.waitMilliseconds = waitMilliseconds
  }
}

/// Receiver → sender: no.
package struct RefusedBody: Equatable {
  package enum Reason: UInt16 {
    /// `needed` bytes will never fit into `capacity`.
    case tooLarge = 1
    /// There was no room in time.
    case full = 2
    /// The grant had run out, or the receiver could not pull what was offered.
    case failed = 3
  }

  package var reason: Reason
  package var needed: UInt64
  package var capacity: UInt64
  package var text: String

  package init(_ reason: Reason, needed: UInt64 = 0, capacity: UInt64 = 0, text: String = "") {
    self.reason = reason
    self.needed = needed
    self.capacity = capacity
    self.text = text
  }
}

/// Sender → receiver: it is computed; pull it from here.
package struct OfferBody: Equatable {
  package var id: [UInt8]
  package var engineID: String
  package var host: String
  package var port: UInt16
  package var tokens: UInt64

  package init(id: [UInt8], engineID: String, host: String, port: UInt16, tokens: UInt64) {
    self.id = id
    self.engineID = engineID
    self.host = host
    self.port = port
    self.tokens = tokens
  }
}

extension ReserveBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.raw(key.bytes)
    writer.integer(tokens)
    writer.integer(waitMilliseconds)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    key = PromptKey(bytes: Array(try reader.raw(PromptKey.byteCount)))
    tokens = try reader.integer()
    waitMilliseconds = try reader.integer()
    try reader.end()
  }
}

extension RefusedBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(reason.rawValue)
    writer.integer(needed)
    writer.integer(capacity)
    writer.string(text)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    guard let reason = Reason(rawValue: try reader.integer()) else {
      throw WireError(text: "an unknown reason to refuse")
    }
    self.reason = reason
    needed = try reader.integer()
    capacity = try reader.integer()
    text = try reader.string()
    try reader.end()
  }
}

extension OfferBody {
  package var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.raw(id)
    writer.string(engineID)
    writer.string(host)
    writer.integer(port)
    writer.integer(tokens)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = ByteReader(bytes)
    id = Array(try reader.raw(ClaimBody.idBytes))
    engineID = try reader.string()
    host = try reader.string()
    port = try reader.integer()
    tokens = try reader.integer()
    try reader.end()
  }
}
