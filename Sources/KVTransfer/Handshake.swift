import CLinux
import Crypto
import Glibc
import KVBlocks

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

/// What a decoder knows of the prefiller at the other end of a channel.
package struct PeerGreeting {
  package var ready: ReadyBody
  /// Came with READY over a Unix socket; the caller owns it.
  package var poolDescriptor: Int32?
}

extension Handshake {
  /// The decoder's side.
  ///
  /// - Parameter host: Told to the prefiller so that it offers shared memory; empty: not wanted.
  package static func greet(
    _ channel: FrameChannel, engineID: String, as local: KVIdentity, secret: String?, host: String,
    timeout: Duration, receivesPool: Bool
  ) throws(KVTransferError) -> PeerGreeting {
    let patience = Patience(stall: timeout, whole: timeout)
    let peer = channel.socket.peer
    let hello = HelloBody(
      versions: FrameChannel.versions, nonce: randomBytes(HelloBody.nonceBytes), engineID: local.engineID, host: host
    ).encoded
    try channel.send(Frame(.hello, body: hello), patience)

    let frame = try channel.receive(patience, for: "WELCOME")
    try refuse(frame, on: channel)
    guard frame.kind == .welcome else { throw channel.violation("\(frame.kind) in place of WELCOME") }
    let (welcome, proof) = try channel.decode { () throws(WireError) in
      var reader = ByteReader(frame.body)
      let welcome = try WelcomeBody(decoding: &reader)
      return (welcome, try reader.raw(reader.remaining))
    }
    let signed = welcome.encoded
    if secret != nil {
      let expected = Handshake.proof(of: .prefiller, secret: secret, hello: hello, welcome: signed)
      guard isEqual(proof, expected) else { throw .unauthorized(peer: peer) }
    }
    guard FrameChannel.versions.contains(welcome.version) else {
      throw .versionMismatch(
        local: FrameChannel.versions, remote: welcome.version...welcome.version, peer: peer)
    }
    guard welcome.identity.engineID == engineID else {
      throw .engineMismatch(expected: engineID, found: welcome.identity.engineID, peer: peer)
    }
    try local.requireEqual(welcome.identity, peer: peer)
    channel.version = welcome.version

    let answer = Handshake.proof(of: .decoder, secret: secret, hello: hello, welcome: signed)
    try channel.send(Frame(.prove, body: answer), patience)
    return try awaitReady(channel, patience, receivesPool: receivesPool)
  }

  private static func awaitReady(
    _ channel: FrameChannel, _ patience: Patience, receivesPool: Bool
  ) throws(KVTransferError) -> PeerGreeting {
    let (frame, descriptor) =
      receivesPool
      ? try channel.receiveWithDescriptor(patience, for: "READY")
      : (try channel.receive(patience, for: "READY"), nil)
    do throws(KVTransferError) {
      try refuse(frame, on: channel)
      guard frame.kind == .ready else { throw channel.violation("\(frame.kind) in place of READY") }
      let ready = try channel.decode { () throws(WireError) in try ReadyBody(decoding: frame.body) }
      return PeerGreeting(ready: ready, poolDescriptor: descriptor)
    } catch {
      if let descriptor { close(descriptor) }
      throw error
    }
  }

  /// Throws what a REJECT says.
  private static func refuse(_ frame: Frame, on channel: FrameChannel) throws(KVTransferError) {
    guard frame.kind == .reject else { return }
    let peer = channel.socket.peer
    let reject = try channel.decode { () throws(WireError) in try RejectBody(decoding: frame.body) }
    switch reject.reason {
    case .version: throw .versionMismatch(local: FrameChannel.versions, remote: reject.versions, peer: peer)
    case .unauthorized: throw .unauthorized(peer: peer)
    case .busy: throw .peerUnreachable(peer: peer, reason: "it serves as many connections as it may")
    }
  }

  /// The prefiller's side, up to the moment when the decoder is believed; READY is the caller's to send.
  ///
  /// - Returns: nil if the decoder was refused, and told so.
  package static func welcome(
    _ channel: FrameChannel, as identity: KVIdentity, incarnation: String, secret: String?, timeout: Duration
  ) throws(KVTransferError) -> HelloBody? {
    let patience = Patience(stall: timeout, whole: timeout)
    let frame = try channel.receive(patience, for: "HELLO")
    guard frame.kind == .hello else { throw channel.violation("\(frame.kind) in place of HELLO") }
    let offered = try channel.decode { () throws(WireError) in try HelloBody.versions(in: frame.body) }
    let common = offered.clamped(to: FrameChannel.versions)
    guard offered.overlaps(FrameChannel.versions) else {
      try reject(channel, .version, patience)
      return nil
    }
    let hello = try channel.decode { () throws(WireError) in try HelloBody(decoding: frame.body) }
    let welcome = WelcomeBody(
      version: common.upperBound, nonce: randomBytes(HelloBody.nonceBytes), incarnation: incarnation,
      identity: identity
    ).encoded
    let ours = proof(of: .prefiller, secret: secret, hello: frame.body, welcome: welcome)
    channel.version = common.upperBound
    try channel.send(Frame(.welcome, body: welcome + ours), patience)

    let answer = try channel.receive(patience, for: "PROVE")
    guard answer.kind == .prove else { throw channel.violation("\(answer.kind) in place of PROVE") }
    let expected = proof(of: .decoder, secret: secret, hello: frame.body, welcome: welcome)
    guard secret == nil || isEqual(answer.body, expected) else {
      try reject(channel, .unauthorized, patience)
      return nil
    }
    return hello
  }

  package static func reject(
    _ channel: FrameChannel, _ reason: RejectBody.Reason, _ patience: Patience
  ) throws(KVTransferError) {
    let body = RejectBody(reason: reason, versions: FrameChannel.versions).encoded
    try channel.send(Frame(.reject, body: body), patience)
  }
}
