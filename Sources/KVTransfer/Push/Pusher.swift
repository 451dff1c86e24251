import KVBlocks
import Logging
import Synchronization

/// The prefiller's side of push mode: asks the receiver for room before a prompt is computed, and has it pull what was
/// published afterwards. One connection per prompt under way, kept for the next.
///
/// `reserve` → (prefill, publish) → `offer` or `giveUp`; `close` at the end.
package final class Pusher: Sendable {
  /// What `reserve` got.
  package enum Room: Sendable {
    /// The receiver has this very prompt's KV: there is nothing to send.
    case known
    case granted(Grant)
  }

  /// Room at the receiver, as long as its connection lives.
  package final class Grant: Sendable {
    fileprivate let channel: FrameChannel
    fileprivate let request: UInt64

    fileprivate init(_ channel: FrameChannel, _ request: UInt64) {
      self.channel = channel
      self.request = request
    }
  }

  private struct State: Sendable {
    var idle: [FrameChannel] = []
    var running: [ObjectIdentifier: PullCancellation] = [:]
    var lastRequest: UInt64 = 0
    var isClosed = false
    var outcomes: [String: Int] = [:]
  }

  private let host: String
  private let port: Int
  private let identity: KVIdentity
  private let configuration: TransferConfiguration
  /// How long to wait for room at the receiver.
  private let wait: Duration
  private let threads: PullThreads
  private let state = Mutex(State())

  /// - Parameters:
  ///   - host: The receiver's, a name or an address, from this worker's own configuration.
  ///   - wait: For room at the receiver.
  package init(
    host: String, port: Int, identity: KVIdentity, configuration: TransferConfiguration, wait: Duration
  ) {
    self.host = host
    self.port = port
    self.identity = identity
    self.configuration = configuration
    self.wait = wait
    threads = PullThreads(limit: Self.promptsUnderWay, name: "kv-push")
  }

  /// More wait for a thread before they wait for room.
  private static let promptsUnderWay = 64

  /// Prompts by what came of them: `stored`, `known`, or `KVTransferError.label`.
  package var statistics: [String: Int] { state.withLock { $0.outcomes } }

  /// What is under way ends; returns when all threads are gone.
  package func close() {
    let running = state.withLock { state in
      state.isClosed = true
      return Array(state.running.values)
    }
    for cancellation in running { cancellation.cancel(.closed) }
    threads.close()
    state.withLock { $0.idle.removeAll() }
  }

  /// - Throws: `bufferTooSmall` for what will never fit, `bufferFull` if there was no room in time.
  package func reserve(_ key: PromptKey, tokens: Int) async throws(KVTransferError) -> Room {
    try await run { [self] cancellation throws(KVTransferError) in
      let body = ReserveBody(
        key: key, tokens: UInt64(tokens), waitMilliseconds: UInt32(clamping: Int(wait / .milliseconds(1))))
      let request = state.withLock { state in
        state.lastRequest += 1
        return state.lastRequest
      }
      while let resting = takeIdle() {
        do throws(KVTransferError) {
          return try ask(Frame(.reserve, request: request, body: body.encoded), over: resting, cancellation)
        } catch {
          guard case .peerClosed = error, cancellation.reason == nil else { throw error }
        }
      }
      return try ask(
        Frame(.reserve, request: request, body: body.encoded), over: try connect(cancellation), cancellation)
    }
  }

  /// Returns when the receiver has the KV.
  package func offer(_ handoff: KVHandoff, to grant: Grant) async throws(KVTransferError) {
    try await run { [self] cancellation throws(KVTransferError) in
      try cancellation.attach(grant.channel.socket)
      guard let id = handoff.id.bytes else { throw .unknownHandoff(handoff.id, peer: "this worker") }
      let body = OfferBody(
        id: id, engineID: handoff.engineID, host: handoff.host, port: UInt16(clamping: handoff.port),
        tokens: UInt64(handoff.tokens))
      let timeouts = configuration.timeouts
      // The receiver's pull has its own time limits, and the queue before it.
      let patience = Patience(stall: timeouts.pull + timeouts.stall, whole: timeouts.pull + timeouts.stall)
      try grant.channel.send(Frame(.offer, request: grant.request, body: body.encoded), patience)
      let answer = try receive(grant.request, over: grant.channel, patience, for: "STORED")
      guard answer.kind == .stored else { throw try refusal(answer, over: grant.channel) }
      count("stored")
      if cancellation.detach() { giveBack(grant.channel) }
    }
  }

  /// Lets the room go: its connection ends.
  package func giveUp(_ grant: Grant) { grant.channel.socket.interrupt() }

  private func run<Value: Sendable>(
    _ body: @escaping @Sendable (PullCancellation) throws(KVTransferError) -> Value
  ) async throws(KVTransferError) -> Value {
    let cancellation = PullCancellation()
    let key = ObjectIdentifier(cancellation)
    let isOpen = state.withLock { state in
      if !state.isClosed { state.running[key] = cancellation }
      return !state.isClosed
    }
    guard isOpen else { throw .closed }
    defer { state.withLock { $0.running[key] = nil } }
    let result = await threads.run(cancellation, body)
    if case .failure(let error) = result { count(error.label) }
    return try result.get()
  }

  private func connect(_ cancellation: PullCancellation) throws(KVTransferError) -> FrameChannel {
    let peer = "\(host):\(port)"
    let address: SocketAddress
    switch SocketAddress.resolve(host, port: port) {
    case .success(let found): address = found
    case .failure(let error): throw .peerUnreachable(peer: peer, reason: error.text)
    }
    let timeouts = configuration.timeouts
    let socket = try Socket.dial(
      address, peer: peer, within: timeouts.connect,
      attach: { socket throws(KVTransferError) in try cancellation.attach(socket) })
    let channel = FrameChannel(socket)
    _ = try Handshake.greet(
      channel, engineID: nil,
      as: DecoderCredentials(identity: identity, secret: configuration.secret, timeout: timeouts.handshake), host: "",
      receivesPool: false)
    return channel
  }

  private func ask(
    _ frame: Frame, over channel: FrameChannel, _ cancellation: PullCancellation
  ) throws(KVTransferError) -> Room {
    try cancellation.attach(channel.socket)
    let patience = Patience(stall: wait + configuration.timeouts.stall, whole: wait + configuration.timeouts.stall)
    try channel.send(frame, patience)
    let answer = try receive(frame.request, over: channel, patience, for: "GRANTED")
    guard cancellation.detach() else { throw .cancelled }
    switch answer.kind {
    case .granted: return .granted(Grant(channel, frame.request))
    case .stored:
      count("known")
      giveBack(channel)
      return .known
    default:
      let refusal = try refusal(answer, over: channel)
      giveBack(channel)
      throw refusal
    }
  }

  private func receive(
    _ request: UInt64, over channel: FrameChannel, _ patience: Patience, for what: String
  ) throws(KVTransferError) -> Frame {
    let frame = try channel.receive(patience, for: what)
    guard frame.request == request else { throw channel.violation("an answer to request \(frame.request)") }
    return frame
  }

  private func refusal(_ frame: Frame, over channel: FrameChannel) throws(KVTransferError) -> KVTransferError {
    guard frame.kind == .refused else { throw channel.violation("\(frame.kind) in place of an answer") }
    let body = try channel.decode { () throws(WireError) in try RefusedBody(decoding: frame.body) }
    let peer = channel.socket.peer
    switch body.reason {
    case .tooLarge:
      return .bufferTooSmall(needed: Int(clamping: body.needed), capacity: Int(clamping: body.capacity), peer: peer)
    case .full: return .bufferFull(peer: peer, after: wait)
    case .failed: return .pushFailed(peer: peer, reason: body.text)
    }
  }

  private func count(_ outcome: String) { state.withLock { $0.outcomes[outcome, default: 0] += 1 } }

  private func takeIdle() -> FrameChannel? {
    state.withLock { state in
      while let channel = state.idle.popLast() {
        if channel.socket.isQuiet { return channel }
      }
      return nil
    }
  }

  private func giveBack(_ channel: FrameChannel) {
    state.withLock { state in
      if !state.isClosed { state.idle.append(channel) }
    }
  }
}
