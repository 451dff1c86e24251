import Crypto
import NIOHTTP1

/// Keeps the KV of those who hold one API key apart from all others', so that the time of an answer tells nobody what
/// another has asked. Who only guesses a key's name cannot make its salt: it is a digest of the key.
package enum TenantSalt {
  /// - Parameters:
  ///   - authorization: As `HTTPHeaders.authorization` has it.
  ///   - own: What the client itself salts with, in any spelling.
  /// - Returns: 32 hex digits; the same for the same two, at every worker and proxy.
  package static func salt(authorization: String, own: String?) -> String {
    var hash = SHA256()
    // The scheme may be spelled in several ways.
    hash.update(data: Array(authorization.utf8.drop { $0 != UInt8(ascii: " ") }))
    if let own {
      hash.update(data: [0])
      hash.update(data: Array(own.utf8))
    }
    let digits = Array("0123456789abcdef".utf8)
    let bytes = hash.finalize().prefix(16).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension HTTPHeaders {
  /// `Bearer KEY` of the field of that name, or with the key of `x-api-key`, which Anthropic's clients send.
  package var authorization: String? {
    first(name: "authorization") ?? first(name: "x-api-key").map { "Bearer \($0)" }
  }
}
