import Glibc
import KVBlocks

/// What a decoder learns of its prefiller.
package struct PeerGreeting {
  package var incarnation: String
  package var ready: ReadyBody
  /// Came with READY over a Unix socket; the caller owns it.
  package var poolDescriptor: Int32?
}

/// What a decoder brings to a handshake.
package struct DecoderCredentials: Sendable {
  package var identity: KVIdentity
  package var secret: String?
  package var timeout: Duration

  package init(identity: KVIdentity, secret: String?, timeout: Duration) {
    self.identity = identity
    self.secret = secret
    self.timeout = timeout
  }
}

extension Handshake {
  /// The decoder's side.
  ///
  /// - Parameters:
  ///   - engineID: Who must be at the other end; nil: whoever has our secret and model.
  ///   - host: `Handshake.host`, so that the prefiller offers shared memory; empty: not wanted.
  ///   - receivesPool: The channel is a Unix socket, and the prefiller's memory comes with READY.
  package static func greet(
    _ channel: FrameChannel, engineID: String?, as credentials: DecoderCredentials, host: String, receivesPool: Bool
  ) throws(KVTransferError) -> PeerGreeting {
    let patience = Patience(stall: credentials.timeout, whole: credentials.timeout)
    let hello = HelloBody(
      versions: FrameChannel.versions, nonce: randomBytes(HelloBody.nonceBytes),
      engineID: credentials.identity.engineID, host: host
    ).encoded
    try channel.send(Frame(.hello, body: hello), patience)
    let frame = try channel.receive(patience, for: "WELCOME")
    try refuse(frame, on: channel)
    guard frame.kind == .welcome else { throw channel.violation("\(frame.kind) in place of WELCOME") }
    let welcome = try verify(frame.body, answering: hello, credentials, engineID: engineID, channel)
    channel.version = welcome.version
    let answer = proof(of: .decoder, secret: credentials.secret, hello: hello, welcome: welcome.encoded)
    try channel.send(Frame(.prove, body: answer), patience)
    return try awaitReady(channel, welcome, patience, receivesPool: receivesPool)
  }

  /// WELCOME and the prefiller's proof, in the order: is it who it says, is it who we want, does its KV fit ours?
  private static func verify(
    _ body: [UInt8], answering hello: [UInt8], _ credentials: DecoderCredentials, engineID: String?,
    _ channel: FrameChannel
  ) throws(KVTransferError) -> WelcomeBody {
    let peer = channel.socket.peer
    let (welcome, proof) = try channel.decode { () throws(WireError) in
      var reader = ByteReader(body)
      let welcome = try WelcomeBody(decoding: &reader)
      return (welcome, try reader.raw(reader.remaining))
    }
    let expected = Handshake.proof(
      of: .prefiller, secret: credentials.secret, hello: hello, welcome: welcome.encoded)
    guard credentials.secret == nil || isEqual(proof, expected) else { throw .unauthorized(peer: peer) }
    guard FrameChannel.versions.contains(welcome.version) else {
      throw .versionMismatch(local: FrameChannel.versions, remote: welcome.version...welcome.version, peer: peer)
    }
    if let engineID, welcome.identity.engineID != engineID {
      throw .engineMismatch(expected: engineID, found: welcome.identity.engineID, peer: peer)
    }
    try credentials.identity.requireEqual(welcome.identity, peer: peer)
    return welcome
  }

  private static func awaitReady(
    _ channel: FrameChannel, _ welcome: WelcomeBody, _ patience: Patience, receivesPool: Bool
  ) throws(KVTransferError) -> PeerGreeting {
    let (frame, descriptor) =
      receivesPool
      ? try channel.receiveWithDescriptor(patience, for: "READY")
      : (try channel.receive(patience, for: "READY"), nil)
    do throws(KVTransferError) {
      try refuse(frame, on: channel)
      guard frame.kind == .ready else { throw channel.violation("\(frame.kind) in place of READY") }
      let ready = try channel.decode { () throws(WireError) in try ReadyBody(decoding: frame.body) }
      return PeerGreeting(incarnation: welcome.incarnation, ready: ready, poolDescriptor: descriptor)
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
}
