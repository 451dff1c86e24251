import NIOCore

/// What an LMCache prefiller says when a rank's KV is at the decoder: msgpack, `{"type": "ProxyNotif", "req_id": "…"}`.
package struct TransferNotice: Sendable, Equatable {
  package let requestID: String

  /// - Returns: nil if it is anything else. Fields of other names may be there, if they are numbers or texts.
  package init?(_ message: ByteBuffer) {
    var bytes = message
    guard let members = Self.mapCount(&bytes) else { return nil }
    var fields: [String: String] = [:]
    for _ in 0..<members {
      guard case .some(.text(let name)) = Self.scalar(&bytes), let value = Self.scalar(&bytes) else { return nil }
      if case .text(let text) = value { fields[name] = text }
    }
    guard bytes.readableBytes == 0, fields["type"] == "ProxyNotif", let id = fields["req_id"] else { return nil }
    requestID = id
  }

  private enum Scalar {
    case text(String)
    case other
  }

  private static func mapCount(_ bytes: inout ByteBuffer) -> Int? {
    switch bytes.readInteger(as: UInt8.self) {
    case .some(let byte) where byte & 0xF0 == 0x80: Int(byte & 0x0F)
    case 0xDE: bytes.readInteger(as: UInt16.self).map(Int.init)
    default: nil
    }
  }

  private static func scalar(_ bytes: inout ByteBuffer) -> Scalar? {
    func text(_ length: Int?) -> Scalar? { length.flatMap { bytes.readString(length: $0) }.map { .text($0) } }
    func skip(_ count: Int) -> Scalar? { bytes.readSlice(length: count).map { _ in .other } }
    guard let byte = bytes.readInteger(as: UInt8.self) else { return nil }
    return switch byte {
    case 0xA0...0xBF: text(Int(byte & 0x1F))
    case 0xD9: text(bytes.readInteger(as: UInt8.self).map(Int.init))
    case 0xDA: text(bytes.readInteger(as: UInt16.self).map(Int.init))
    // Small numbers, nil, false and true.
    case 0x00...0x7F, 0xE0...0xFF, 0xC0, 0xC2, 0xC3: .other
    case 0xCC, 0xD0: skip(1)
    case 0xCD, 0xD1: skip(2)
    case 0xCA, 0xCE, 0xD2: skip(4)
    case 0xCB, 0xCF, 0xD3: skip(8)
    default: nil
    }
  }
}
