extension KVHandoff.ID {
  /// 128 bits from the system's generator.
  static func random() -> KVHandoff.ID { KVHandoff.ID(bytes: Handshake.randomBytes(ClaimBody.idBytes)) }

  init(bytes: [UInt8]) {
    self.init(
      String(decoding: bytes.flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self))
  }

  /// The 16 bytes that go on the wire; nil if this is not an id of ours.
  package var bytes: [UInt8]? {
    let digits = rawValue.utf8.map { Self.digits.firstIndex(of: $0) }
    guard digits.count == 2 * ClaimBody.idBytes, !digits.contains(nil) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0]! << 4 | digits[$0 + 1]!) }
  }

  private static let digits = Array("0123456789abcdef".utf8)
}
