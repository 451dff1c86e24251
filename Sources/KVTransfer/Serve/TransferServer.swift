import CLinux
import Glibc
import Logging

/// Accepts peers on TCP and, for those on this host, on an abstract Unix socket; each connection gets a thread.
final class TransferServer: Sendable {
  private struct State: Sendable {
    var connections: [ObjectIdentifier: Socket] = [:]
    var isAccepting = true
    var isClosed = false
  }

  /// The numeric address that it listens on: what tickets name.
  let host: String
  let port: Int
  private let connectionLimit: Int
  private let logger: Logger
  private let serve: @Sendable (FrameChannel, _ isUnix: Bool) -> Void
  private let state = Monitor(State())
  /// Owned: TCP, then Unix if there is one.
  private let listeners: [Int32]
  /// Readable when the accepting thread shall end.
  private let wake: Int32

  /// Serves from now on.
  /// - Parameters:
  ///   - listeners: Become the server's.
  ///   - serve: Called on a connection's own thread; the connection ends when it returns.
  init(
    _ listeners: TransferListeners, connectionLimit: Int, _ logger: Logger,
    serve: @escaping @Sendable (FrameChannel, _ isUnix: Bool) -> Void
  ) throws(KVTransferError) {
    (host, port) = (listeners.host, listeners.port)
    self.connectionLimit = connectionLimit
    self.logger = logger
    self.serve = serve
    self.listeners = listeners.descriptors
    wake = xs_event_descriptor()
    guard wake >= 0, OwnThread.start("kv-accept", { [self] in accept() }) else {
      for descriptor in listeners.descriptors + (wake >= 0 ? [wake] : []) { Glibc.close(descriptor) }
      throw .cannotListen(host: host, port: port, reason: "the process is out of threads or files")
    }
  }

  /// Ends every connection and returns when no thread of the server runs any more.
  func close() {
    let isFirst = state.update { state in
      defer { state.isClosed = true }
      for socket in state.connections.values { socket.interrupt() }
      return !state.isClosed
    }
    guard isFirst else { return }
    var one: UInt64 = 1
    write(wake, &one, 8)
    state.wait { $0.isAccepting || !$0.connections.isEmpty ? .wait(until: nil) : .done(()) }
    for descriptor in listeners + [wake] { Glibc.close(descriptor) }
  }

  private func accept() {
    var pollers = (listeners + [wake]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
      if poll(&pollers, nfds_t(pollers.count), -1) < 0 && errno != EINTR { break }
      if pollers[pollers.count - 1].revents != 0 { break }
      for (index, poller) in pollers.enumerated() where poller.revents != 0 { accept(from: index) }
    }
    state.update { $0.isAccepting = false }
  }

  private func accept(from index: Int) {
    let isUnix = index == 1
    let descriptor = xs_accept(listeners[index])
    guard descriptor >= 0 else {
      // Out of descriptors: the connection stays in the backlog, so give others the time to close theirs.
      if errno == EMFILE || errno == ENFILE { usleep(10_000) }
      return
    }
    Socket.tuneForTransfer(descriptor, isUnix ? AF_UNIX : AF_INET)
    let socket = Socket(
      adopting: descriptor, peer: isUnix ? "decoder on this host" : SocketAddress.peerName(of: descriptor))
    guard !isUnix || isOwnUser(descriptor) else { return }
    let answer = state.update { state -> Admission in
      if state.isClosed { return .closed }
      if state.connections.count >= connectionLimit { return .busy }
      state.connections[ObjectIdentifier(socket)] = socket
      return .admitted
    }
    switch answer {
    case .closed: return
    case .busy: turnAway(socket)
    case .admitted: startServing(socket, isUnix)
    }
  }

  private enum Admission { case admitted, busy, closed }

  /// Another user may not read our pool, whatever handoff it knows.
  private func isOwnUser(_ descriptor: Int32) -> Bool {
    var process: pid_t = 0
    var user: uid_t = 0
    return xs_peer_credentials(descriptor, &process, &user) == 0 && user == geteuid()
  }

  private func startServing(_ socket: Socket, _ isUnix: Bool) {
    let key = ObjectIdentifier(socket)
    let started = OwnThread.start("kv-serve") { [self] in
      serve(FrameChannel(socket), isUnix)
      socket.close()
      state.update { $0.connections[key] = nil }
    }
    if !started {
      turnAway(socket)
      state.update { $0.connections[key] = nil }
    }
  }

  /// Says so without waiting: an empty socket has room for one frame.
  private func turnAway(_ socket: Socket) {
    logger.warning("KV transfer connection turned away: too many")
    let now = Patience(stall: .zero, whole: .zero)
    try? Handshake.reject(FrameChannel(socket), .busy, now)
    socket.close()
  }
}
