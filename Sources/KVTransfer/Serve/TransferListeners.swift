import Glibc

/// Where a server will accept: a TCP socket and perhaps an abstract Unix socket, both bound already.
struct TransferListeners {
  /// TCP, then Unix if there is one. The caller's, until a `TransferServer` takes them.
  let descriptors: [Int32]
  /// The numeric address of the TCP socket.
  let host: String
  let port: Int

  /// - Parameter unixName: nil: TCP only.
  init(_ configuration: TransferConfiguration, unixName: String? = nil) throws(KVTransferError) {
    let tcp = try Self.listenTCP(configuration)
    (host, port) = SocketAddress.bound(tcp)
    let unix = unixName.map { Socket.listen(on: .abstract($0)) } ?? -1
    descriptors = unix >= 0 ? [tcp, unix] : [tcp]
  }

  var hasUnix: Bool { descriptors.count > 1 }

  private static func listenTCP(_ configuration: TransferConfiguration) throws(KVTransferError) -> Int32 {
    let (host, port) = (configuration.listenHost, configuration.port)
    let address: SocketAddress
    switch SocketAddress.resolve(host, port: port) {
    case .success(let found): address = found
    case .failure(let error): throw .cannotListen(host: host, port: port, reason: error.text)
    }
    if !address.isLoopback && configuration.secret == nil { throw .insecureListener(host: host) }
    if address.isWildcard {
      throw .cannotListen(
        host: host, port: port, reason: "peers dial this very address, so it must be one that leads here")
    }
    let descriptor = Socket.listen(on: address)
    guard descriptor >= 0 else {
      throw .cannotListen(host: host, port: port, reason: String(cString: strerror(errno)))
    }
    return descriptor
  }
}
