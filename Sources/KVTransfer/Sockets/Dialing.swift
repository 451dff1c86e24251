import Glibc

extension Socket {
  /// Connects to a peer's transfer server.
  /// - Parameters:
  ///   - host: A numeric address.
  ///   - attach: Called with the socket before it waits, so that it can be interrupted.
  package static func dial(
    host: String, port: Int, within limit: Duration, attach: (Socket) throws(KVTransferError) -> Void
  ) throws(KVTransferError) -> Socket {
    let peer = "\(host):\(port)"
    switch SocketAddress.numeric(host, port: port) {
    case .success(let address): return try dial(address, peer: peer, within: limit, attach: attach)
    case .failure(let error): throw .peerUnreachable(peer: peer, reason: error.text)
    }
  }

  package static func dial(
    _ address: SocketAddress, peer: String, within limit: Duration, attach: (Socket) throws(KVTransferError) -> Void
  ) throws(KVTransferError) -> Socket {
    let descriptor = streamSocket(address.family)
    guard descriptor >= 0 else { throw .peerUnreachable(peer: peer, reason: String(cString: strerror(errno))) }
    let socket = Socket(adopting: descriptor, peer: peer)
    try attach(socket)
    tuneForTransfer(descriptor, address.family)
    let status = address.withPointer { connect(descriptor, $0, $1) }
    if status != 0 {
      guard errno == EINPROGRESS else { throw .peerUnreachable(peer: peer, reason: String(cString: strerror(errno))) }
      guard socket.poll(until: .now + limit, for: POLLOUT) else {
        throw .timedOut(what: "connection to \(peer)", after: limit)
      }
      var code: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
      if code != 0 { throw .peerUnreachable(peer: peer, reason: String(cString: strerror(code))) }
    }
    return socket
  }

  /// - Returns: A bound, listening, non-blocking descriptor that the caller owns; -1 with `errno` if that fails.
  package static func listen(on address: SocketAddress) -> Int32 {
    let descriptor = streamSocket(address.family)
    guard descriptor >= 0 else { return -1 }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard address.withPointer({ bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 128) == 0 else {
      let code = errno
      Glibc.close(descriptor)
      errno = code
      return -1
    }
    return descriptor
  }

  /// No Nagle; a dead host is noticed within a minute and a half. Buffer sizes are the kernel's to choose: a fixed
  /// one would end its own growth to `tcp_wmem`.
  package static func tuneForTransfer(_ descriptor: Int32, _ family: Int32) {
    guard family != AF_UNIX else { return }
    let options: [(Int32, Int32, Int32)] = [
      (Int32(IPPROTO_TCP), TCP_NODELAY, 1), (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 30),
      (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 10), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 6),
    ]
    for (level, name, value) in options {
      var value = value
      setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  private static func streamSocket(_ family: Int32) -> Int32 {
    socket(family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }
}
