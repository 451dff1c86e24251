import Glibc
import KVBlocks
import KVTransfer
import Synchronization

/// A prefiller that does what a test tells it, frame by frame; each connection runs the script from its start.
final class ScriptedPrefiller: Sendable {
  let port: Int
  let identity = KVIdentity(engineID: "prefiller", model: "model-a", tokenizer: "tokenizer-a", layout: testLayout)
  private let listener: Int32
  private let thread = Mutex<pthread_t?>(nil)

  init(_ script: @escaping @Sendable (ScriptedPrefiller, FrameChannel) throws -> Void) throws {
    let address = try SocketAddress.numeric("127.0.0.1", port: 0).get()
    listener = Socket.listen(on: address)
    port = SocketAddress.bound(listener).port
    let run = Unmanaged.passRetained(Run { [self] in serve(script) })
    thread.withLock { thread in
      var started = pthread_t()
      pthread_create(
        &started, nil,
        { context in
          Unmanaged<Run>.fromOpaque(context!).takeRetainedValue().body()
          return nil
        }, run.toOpaque())
      thread = started
    }
  }

  private final class Run {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  /// Returns when the script's thread is gone.
  func close() {
    shutdown(listener, Int32(SHUT_RDWR))
    if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
    Glibc.close(listener)
  }

  func handoff(tokens: Int) -> KVHandoff {
    KVHandoff(
      id: KVHandoff.ID(String(repeating: "5a", count: 16)), engineID: identity.engineID, host: "127.0.0.1", port: port,
      blocks: [], tokens: tokens)
  }

  private func serve(_ script: (ScriptedPrefiller, FrameChannel) throws -> Void) {
    while true {
      var poller = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      poll(&poller, 1, -1)
      let descriptor = accept(listener, nil, nil)
      guard descriptor >= 0 else { return }
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      let socket = Socket(adopting: descriptor, peer: "decoder")
      try? script(self, FrameChannel(socket))
      socket.close()
    }
  }

  /// The handshake as it should be, on TCP.
  func welcome(_ channel: FrameChannel) throws {
    _ = try Handshake.welcome(channel, as: identity, incarnation: "i", secret: nil, timeout: .seconds(5))
    try channel.send(Frame(.ready, body: ReadyBody().encoded), testPatience)
  }

  /// Handshake and claim, answered with `blocks` blocks.
  func grant(_ channel: FrameChannel, tokens: Int, blocks: Int) throws {
    try welcome(channel)
    _ = try channel.receive(testPatience, for: "CLAIM")
    let claimed = ClaimedBody(tokens: UInt64(tokens), blocks: Array(0..<UInt32(blocks)))
    try channel.send(Frame(.claimed, request: 1, generation: 1, body: claimed.encoded), testPatience)
  }

  /// A DATA frame and `payload`.
  func data(
    _ channel: FrameChannel, first: UInt32 = 0, count: UInt32, checksums: [UInt32] = [], payload: [UInt8]
  ) throws {
    let body = DataBody(first: first, count: count, checksums: checksums).encoded
    try channel.send(Frame(.data, request: 1, generation: 1, body: body), testPatience)
    try channel.socket.send(payload, testPatience, for: "test")
  }
}

let testPatience = Patience(stall: .seconds(5), whole: .seconds(30))

/// A decoder that goes through the protocol step by step, and may stop at any.
struct ScriptedDecoder {
  let channel: FrameChannel
  private let wantsChecksums: Bool

  /// Connects and shakes hands.
  init(to prefiller: TestWorker, over transport: String, from decoder: KVIdentity? = nil) throws {
    let port = prefiller.transport.port
    let tcp = FrameChannel(try Socket.dial(host: "127.0.0.1", port: port, within: .seconds(5), attach: { _ in }))
    var identity = decoder ?? prefiller.identity
    identity.engineID = "scripted"
    func greet(_ channel: FrameChannel, _ receivesPool: Bool) throws -> PeerGreeting {
      try Handshake.greet(
        channel, engineID: prefiller.identity.engineID,
        as: DecoderCredentials(identity: identity, secret: nil, timeout: .seconds(5)),
        host: Handshake.host ?? "", receivesPool: receivesPool)
    }
    wantsChecksums = transport == "tcp"
    let greeting = try greet(tcp, false)
    guard transport == "shm" else {
      channel = tcp
      return
    }
    let unix = SocketAddress.abstract(greeting.ready.unixName)
    channel = FrameChannel(try Socket.dial(unix, peer: "prefiller", within: .seconds(5), attach: { _ in }))
    if let pool = try greet(channel, true).poolDescriptor { close(pool) }
  }

  /// - Returns: What the prefiller answers.
  func claim(_ handoff: KVHandoff, request: UInt64 = 1, follows: Bool = false) throws -> Frame {
    let body = ClaimBody(id: handoff.id.bytes!, wantsChecksums: wantsChecksums, follows: follows).encoded
    try channel.send(Frame(.claim, request: request, body: body), testPatience)
    return try channel.receive(testPatience, for: "CLAIMED")
  }

  /// Over TCP: reads the DATA of a handoff.
  func readBlocks(_ count: Int) throws {
    var read = 0
    while read < count {
      let data = try DataBody(decoding: try channel.receive(testPatience, for: "DATA").body)
      _ = try channel.socket.receive(Int(data.count) * testLayout.bytesPerBlock, testPatience, for: "blocks")
      read += Int(data.count)
    }
  }

  /// Reads PIECES, and over TCP their bytes, until something else comes.
  /// - Returns: That, and how many pieces came.
  func readPieces() throws -> (pieces: Int, end: Frame) {
    var count = 0
    while true {
      let frame = try channel.receive(testPatience, for: "PIECES")
      if frame.kind == .beat { continue }
      guard frame.kind == .pieces else { return (count, frame) }
      let pieces = try PiecesBody(decoding: frame.body).pieces
      count += pieces.layers.count * pieces.blocks.count
      guard wantsChecksums else { continue }
      let bytes = pieces.layers.count * pieces.blocks.count * testLayout.bytesPerLayer
      _ = try channel.socket.receive(bytes, testPatience, for: "pieces")
    }
  }

  func done(request: UInt64 = 1, generation: UInt32 = 1) throws {
    try channel.send(Frame(.done, request: request, generation: generation), testPatience)
  }
}
