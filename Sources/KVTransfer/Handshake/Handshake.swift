import Crypto
import Glibc

/// HELLO → WELCOME → PROVE → READY: both sides learn who the other is before any KV moves.
///
/// With a shared secret, WELCOME ends with the prefiller's proof and PROVE is the decoder's: HMAC-SHA-256 over both
/// sides' bodies, which hold a nonce of each. The secret itself never leaves the process.
package enum Handshake {
  package enum Side: String { case prefiller, decoder }

  package static func proof(of side: Side, secret: String?, hello: [UInt8], welcome: [UInt8]) -> [UInt8] {
    guard let secret else { return [] }
    var hmac = HMAC<SHA256>(key: SymmetricKey(data: Array(secret.utf8)))
    hmac.update(data: Array("xpyd kv \(side.rawValue)".utf8))
    for body in [hello, welcome] {
      var length = ByteWriter()
      length.integer(UInt64(body.count))
      hmac.update(data: length.bytes + body)
    }
    return Array(hmac.finalize())
  }

  /// In a time that does not depend on where the two differ.
  package static func isEqual(_ proof: some Collection<UInt8>, _ expected: [UInt8]) -> Bool {
    proof.count == expected.count && zip(proof, expected).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }

  package static func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  /// This boot of this host and this network namespace: who shares it can connect to our abstract socket.
  package static let host: String? = {
    guard let file = fopen("/proc/sys/kernel/random/boot_id", "r") else { return nil }
    defer { fclose(file) }
    var boot = [CChar](repeating: 0, count: 64)
    var namespace = [CChar](repeating: 0, count: 64)
    guard fgets(&boot, 64, file) != nil, readlink("/proc/self/ns/net", &namespace, 63) > 0 else { return nil }
    let text = [boot, namespace].map { String(decoding: $0.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self) }
    return text.joined(separator: "/")
  }()
}
