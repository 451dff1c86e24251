extension Handshake {
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
    guard offered.overlaps(FrameChannel.versions) else {
      try reject(channel, .version, patience)
      return nil
    }
    let hello = try channel.decode { () throws(WireError) in try HelloBody(decoding: frame.body) }
    let version = offered.clamped(to: FrameChannel.versions).upperBound
    let welcome = WelcomeBody(
      version: version, nonce: randomBytes(HelloBody.nonceBytes), incarnation: incarnation, identity: identity
    ).encoded
    channel.version = version
    let ours = proof(of: .prefiller, secret: secret, hello: frame.body, welcome: welcome)
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

  static func reject(
    _ channel: FrameChannel, _ reason: RejectBody.Reason, _ patience: Patience
  ) throws(KVTransferError) {
    let body = RejectBody(reason: reason, versions: FrameChannel.versions).encoded
    try channel.send(Frame(.reject, body: body), patience)
  }
}
