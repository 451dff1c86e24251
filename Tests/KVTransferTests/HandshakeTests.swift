import KVBlocks
import KVTransfer
import Testing

/// Two workers that do not fit are told why before any KV moves.
@Suite(.timeLimit(.minutes(5))) struct HandshakeTests {
  private func refusal(
    prefiller: (inout TransferConfiguration, inout KVIdentity) -> Void = { _, _ in },
    decoder: (inout TransferConfiguration, inout KVIdentity) -> Void = { _, _ in }
  ) async throws -> (error: KVTransferError?, released: Int) {
    try await withWorkers(.auto, prefiller: prefiller, decoder: decoder) { prefiller, decoder in
      let log = EventLog()
      let handoff = try prefiller.publish([1], to: log)
      do {
        _ = try await decoder.transport.pull(handoff, into: blockIDs([1]))
        return (nil, log.count)
      } catch let error as KVTransferError {
        return (error, log.count)
      }
    }
  }

  @Test func `Another model is refused, and both are named`() async throws {
    let (error, released) = try await refusal(decoder: { _, identity in identity.model = "model-b" })
    #expect(error?.label == "model_mismatch" && released == 0)
    #expect("\(error!)".contains("model-a") && "\(error!)".contains("model-b"))
  }

  @Test func `Another tokenizer is refused, and both are named`() async throws {
    let (error, _) = try await refusal(prefiller: { _, identity in identity.tokenizer = "tokenizer-b" })
    #expect(error?.label == "tokenizer_mismatch")
    #expect("\(error!)".contains("tokenizer-a") && "\(error!)".contains("tokenizer-b"))
  }

  @Test func `Another layout is refused, and both are named`() async throws {
    let prefiller = try TestWorker(engineID: "prefiller")
    defer { prefiller.transport.close() }
    let layout = KVLayout(layers: 2, kvHeads: 1, headDim: 8, blockSize: 8)
    let decoder = try TestWorker(engineID: "decoder", layout: layout)
    defer { decoder.transport.close() }
    let handoff = try prefiller.publish([1])
    do {
      _ = try await decoder.transport.pull(handoff, into: blockIDs([1]))
      Issue.record("pulled KV of another layout")
    } catch {
      #expect(error.label == "layout_mismatch")
      #expect("\(error)".contains("blocks of 4 tokens") && "\(error)".contains("blocks of 8 tokens"))
    }
  }

  @Test func `A decoder of another version is told ours`() async throws {
    let prefiller = try TestWorker(engineID: "prefiller")
    defer { prefiller.transport.close() }
    let socket = try Socket.dial(
      host: "127.0.0.1", port: prefiller.transport.port, within: .seconds(5), attach: { _ in })
    let channel = FrameChannel(socket)
    let hello = HelloBody(versions: 7...9, nonce: Handshake.randomBytes(32), engineID: "new", host: "")
    // What a later version adds to HELLO must not hide its range.
    try channel.send(Frame(.hello, body: hello.encoded + [1, 2, 3]), testPatience)
    let reject = try channel.receive(testPatience, for: "REJECT")
    #expect(reject.kind == .reject)
    #expect(try RejectBody(decoding: reject.body) == RejectBody(reason: .version, versions: FrameChannel.versions))
  }

  @Test(
    arguments: [
      ("secret", "secret", nil), ("secret", "other", "unauthorized"), ("secret", nil, "unauthorized"),
      (nil, "secret", "unauthorized"),
    ] as [(String?, String?, String?)])
  func `Both must know the secret`(theirs: String?, ours: String?, expected: String?) async throws {
    let (error, released) = try await refusal(
      prefiller: { configuration, _ in configuration.secret = theirs },
      decoder: { configuration, _ in configuration.secret = ours })
    #expect(error?.label == expected)
    #expect(released == (expected == nil ? 1 : 0))
  }

  @Test func `A claim without proof is refused`() async throws {
    let prefiller = try TestWorker(engineID: "prefiller") { configuration, _ in configuration.secret = "secret" }
    defer { prefiller.transport.close() }
    let handoff = try prefiller.publish([1])
    let channel = FrameChannel(
      try Socket.dial(host: "127.0.0.1", port: prefiller.transport.port, within: .seconds(5), attach: { _ in }))
    let hello = HelloBody(versions: 1...1, nonce: Handshake.randomBytes(32), engineID: "thief", host: "")
    try channel.send(Frame(.hello, body: hello.encoded), testPatience)
    #expect(try channel.receive(testPatience, for: "WELCOME").kind == .welcome)
    let claim = ClaimBody(id: handoff.id.bytes!, wantsChecksums: false)
    try channel.send(Frame(.claim, request: 1, body: claim.encoded), testPatience)
    #expect(throws: KVTransferError.self) { try channel.receive(testPatience, for: "CLAIMED") }
  }

  @Test(arguments: ["0.0.0.0", "::"]) func `Listening beyond loopback needs a secret`(host: String) async {
    #expect(
      await label { _ = try TestWorker { configuration, _ in configuration.listenHost = host } } == "insecure_listener")
    #expect(
      await label {
        _ = try TestWorker { configuration, _ in
          configuration.listenHost = host
          configuration.secret = "secret"
        }
      } == "cannot_listen")
  }

  @Test func `A listener on a name puts the address that it stands for into its tickets`() async throws {
    try await withWorkers(.tcp, prefiller: { configuration, _ in configuration.listenHost = "localhost" }) {
      prefiller, decoder in
      let handoff = try prefiller.publish([1])
      #expect(["127.0.0.1", "::1"].contains(handoff.host))
      _ = try await decoder.transport.pull(handoff, into: blockIDs([2]))
      #expect(decoder.bytes(of: blockIDs([2])) == prefiller.bytes(of: blockIDs([1])))
    }
  }

  @Test func `A port in use is named`() async throws {
    let first = try TestWorker()
    defer { first.transport.close() }
    let port = first.transport.port
    #expect(await label { _ = try TestWorker { configuration, _ in configuration.port = port } } == "cannot_listen")
  }
}
