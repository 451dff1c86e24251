import Glibc
import KVBlocks
import Logging
import Synchronization

/// The decoder's connections to prefillers: at most one per pull under way, kept for the next.
final class PeerConnections: Sendable {
  private struct Key: Hashable {
    var engineID: String
    var host: String
    var port: Int

    init(_ handoff: KVHandoff) {
      engineID = handoff.engineID
      host = handoff.host
      port = handoff.port
    }
  }

  private struct Peer {
    var idle: [PeerConnection] = []
    /// The prefiller's Unix socket, once it has told it.
    var unixName: String?
    /// Its pool, mapped once for all connections, as long as one of them lives.
    weak var memory: PeerMemory?
    /// Its Unix socket or memory could not be used, and the log says why.
    var isRemote = false
    /// The same of its NIXL agent.
    var isUnlocatable = false
  }

  private let identity: KVIdentity
  private let configuration: TransferConfiguration
  private let nixl: NixlAgent?
  private let logger: Logger
  private let peers = Mutex<[Key: Peer]>([:])

  init(_ identity: KVIdentity, _ configuration: TransferConfiguration, _ nixl: NixlAgent?, _ logger: Logger) {
    self.nixl = nixl
    self.identity = identity
    self.configuration = configuration
    self.logger = logger
  }

  /// A resting connection that still stands; nil if there is none.
  func takeIdle(for handoff: KVHandoff) -> PeerConnection? {
    peers.withLock { peers in
      while let connection = peers[Key(handoff)]?.idle.popLast() {
        if connection.channel.socket.isQuiet { return connection }
      }
      return nil
    }
  }

  /// Keeps a connection on which nothing is under way.
  func giveBack(_ connection: PeerConnection, for handoff: KVHandoff) {
    peers.withLock { $0[Key(handoff), default: Peer()].idle.append(connection) }
  }

  func closeIdle() { peers.withLock { $0.removeAll() } }

  /// A new connection, in the best way that both sides can and may: over shared memory, NIXL or TCP.
  func connect(
    for handoff: KVHandoff, _ cancellation: PullCancellation
  ) throws(KVTransferError) -> PeerConnection {
    forgetGonePeers()
    let key = Key(handoff)
    if let name = peers.withLock({ $0[key]?.unixName }),
      let neighbour = try connectUnix(name, key, isNews: false, cancellation)
    {
      return neighbour
    }
    let socket = try Socket.dial(
      host: handoff.host, port: handoff.port, within: configuration.timeouts.connect,
      attach: { socket throws(KVTransferError) in try cancellation.attach(socket) })
    let channel = FrameChannel(socket)
    let wantsMemory = configuration.transports.mayShareMemory && !peers.withLock { $0[key]?.isRemote ?? false }
    let greeting = try greet(channel, key, host: wantsMemory ? Handshake.host ?? "" : "", receivesPool: false)
    let name = greeting.ready.unixName
    if wantsMemory, !name.isEmpty,
      let neighbour = try connectUnix(name, key, isNews: true, cancellation)
    {
      return neighbour
    }
    guard configuration.transports != .shm else {
      throw .peerUnreachable(peer: socket.peer, reason: "it offers no shared memory, and only that is allowed here")
    }
    try cancellation.attach(socket)
    let peer = try locate(channel, key, poolBlocks: greeting.ready.poolBlocks)
    return PeerConnection(channel, peer.map { .nixl($0) } ?? .wire, checksums: configuration.checksums)
  }

  /// - Parameter poolBlocks: 0: the peer does not offer it.
  /// - Returns: nil if NIXL cannot be the way, which the log tells once per peer; TCP is then.
  private func locate(
    _ channel: FrameChannel, _ key: Key, poolBlocks: UInt64
  ) throws(KVTransferError) -> NixlPeer? {
    let isRequired = configuration.transports == .nixl
    guard let nixl, poolBlocks > 0, isRequired || !peers.withLock({ $0[key]?.isUnlocatable ?? false }) else {
      guard !isRequired else {
        throw .peerUnreachable(peer: channel.socket.peer, reason: "it offers no NIXL, and only that is allowed here")
      }
      return nil
    }
    let timeout = configuration.timeouts.handshake
    let patience = Patience(stall: timeout, whole: timeout)
    try channel.send(Frame(.locate), patience)
    let frame = try channel.receive(patience, for: "LOCATED")
    guard frame.kind == .located else { throw channel.violation("\(frame.kind) in place of LOCATED") }
    let located = try channel.decode { () throws(WireError) in try LocatedBody(decoding: frame.body) }
    do throws(KVTransferError) {
      return try nixl.meet(located, blockCount: poolBlocks, until: patience.end)
    } catch {
      if isRequired { throw error }
      peers.withLock { $0[key, default: Peer()].isUnlocatable = true }
      logger.notice("no NIXL with KV peer, using TCP", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  private func greet(
    _ channel: FrameChannel, _ key: Key, host: String, receivesPool: Bool
  ) throws(KVTransferError) -> PeerGreeting {
    let credentials = DecoderCredentials(
      identity: identity, secret: configuration.secret, timeout: configuration.timeouts.handshake)
    return try Handshake.greet(
      channel, engineID: key.engineID, as: credentials, host: host, receivesPool: receivesPool)
  }

  /// - Parameter isNews: The peer has told the name just now. An old name that fails means that the peer was
  ///   restarted or is gone, which TCP will tell.
  /// - Returns: nil if it cannot be, which the log tells once per peer; TCP is then the way.
  private func connectUnix(
    _ name: String, _ key: Key, isNews: Bool, _ cancellation: PullCancellation
  ) throws(KVTransferError) -> PeerConnection? {
    let reason: String
    do throws(KVTransferError) {
      let socket = try Socket.dial(
        .abstract(name), peer: "\(key.host):\(key.port)", within: configuration.timeouts.connect,
        attach: { socket throws(KVTransferError) in try cancellation.attach(socket) })
      let channel = FrameChannel(socket)
      let greeting = try greet(channel, key, host: "", receivesPool: true)
      switch mapPool(greeting, from: name, key) {
      case .success(let memory):
        peers.withLock { $0[key, default: Peer()].unixName = name }
        return PeerConnection(channel, .mapped(memory), checksums: configuration.checksums)
      case .failure(let refusal): reason = refusal.text
      }
    } catch {
      try cancellation.check()
      reason = "\(error)"
    }
    peers.withLock { peers in
      peers[key, default: Peer()].unixName = nil
      if isNews { peers[key, default: Peer()].isRemote = true }
    }
    if isNews { logger.notice("no shared memory with KV peer, using TCP", metadata: ["reason": "\(reason)"]) }
    return nil
  }

  private func mapPool(
    _ greeting: PeerGreeting, from name: String, _ key: Key
  ) -> Result<PeerMemory, PeerMemory.Refusal> {
    let isHere = SharedPool.unixName(greeting.incarnation) == name
    guard isHere, let descriptor = greeting.poolDescriptor else {
      if let descriptor = greeting.poolDescriptor { close(descriptor) }
      return .failure(
        PeerMemory.Refusal(
          text: isHere ? "the peer sent no descriptor of its memory" : "another process answers at \(name)"))
    }
    if let known = peers.withLock({ $0[key]?.memory }) {
      close(descriptor)
      return .success(known)
    }
    let mapped = PeerMemory.map(descriptor, layout: identity.layout, blockCount: greeting.ready.poolBlocks)
    if case .success(let memory) = mapped { peers.withLock { $0[key, default: Peer()].memory = memory } }
    return mapped
  }

  /// Drops the connections, and so the mappings, of prefillers that have gone.
  private func forgetGonePeers() {
    peers.withLock { peers in
      for (key, var peer) in peers {
        peer.idle.removeAll { !$0.channel.socket.isQuiet }
        let isGone = peer.idle.isEmpty && peer.memory == nil && !peer.isRemote && !peer.isUnlocatable
        peers[key] = isGone ? nil : peer
      }
    }
  }
}
