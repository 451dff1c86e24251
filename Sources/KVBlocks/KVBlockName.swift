import Crypto

/// Names what a full block holds, so that its KV can be found outside the pool: a hash over who computes here, the salt, and
/// every token up to the block's last.
///
/// SHA-256, not something faster: whoever could find two prompts of one name could be answered with another tenant's KV.
package struct KVBlockName: Hashable, Sendable {
  package static let byteCount = 32

  private let words: SIMD4<UInt64>

  /// - Precondition: 32 bytes.
  package init(bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count == Self.byteCount)
    words = bytes.loadUnaligned(as: SIMD4<UInt64>.self)
  }

  package func withUnsafeBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    Swift.withUnsafeBytes(of: words, body)
  }

  /// What the name of a prompt's first block is made of.
  /// - Parameters:
  ///   - fingerprint: Equal only if KV computed from the same tokens has the same bits.
  ///   - salt: Prompts with different salts share nothing.
  package static func root(fingerprint: String, salt: String?) -> KVBlockName {
    var hash = SHA256()
    hash.update(data: [0, salt == nil ? 0 : 1] as [UInt8])
    Swift.withUnsafeBytes(of: UInt64(fingerprint.utf8.count).littleEndian) { hash.update(bufferPointer: $0) }
    hash.update(data: Array(fingerprint.utf8))
    hash.update(data: Array((salt ?? "").utf8))
    return hash.name()
  }

  /// The name of the block that comes after this one and holds these tokens.
  package func next(_ tokens: ArraySlice<Int32>) -> KVBlockName {
    var hash = SHA256()
    hash.update(data: [1] as [UInt8])
    withUnsafeBytes { hash.update(bufferPointer: $0) }
    tokens.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return hash.name()
  }
}

extension SHA256 {
  fileprivate func name() -> KVBlockName { finalize().withUnsafeBytes { KVBlockName(bytes: $0) } }
}
