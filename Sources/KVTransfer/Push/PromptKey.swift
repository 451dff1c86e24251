import Crypto

/// Names a prompt's KV by its content, so that a decoder finds it without having been told of it.
package struct PromptKey: Hashable, Sendable {
  /// SHA-256 over salt and tokens.
  package let bytes: [UInt8]

  static let byteCount = 32

  /// - Parameter salt: Prompts with different salts share nothing (`cache_salt`).
  package init(_ tokens: [Int32], salt: String?) {
    var hash = SHA256()
    var head = ByteWriter()
    head.integer(UInt8(salt == nil ? 0 : 1))
    head.integer(UInt64(salt?.utf8.count ?? 0))
    hash.update(data: head.bytes + Array((salt ?? "").utf8))
    tokens.withUnsafeBytes { hash.update(bufferPointer: $0) }
    bytes = Array(hash.finalize())
  }

  /// - Precondition: 32 bytes.
  init(bytes: [UInt8]) {
    precondition(bytes.count == Self.byteCount)
    self.bytes = bytes
  }
}
