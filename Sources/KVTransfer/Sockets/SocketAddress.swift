import Glibc

/// An address that a stream socket listens on or dials.
package struct SocketAddress: Sendable {
  package let family: Int32
  private let bytes: [UInt8]

  fileprivate init(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) {
    family = Int32(address.pointee.sa_family)
    bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
  }

  /// A Unix socket without a file: it vanishes with its listener, and is seen in this network namespace only.
  package static func abstract(_ name: String) -> SocketAddress {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + 1
    let path = Array(name.utf8.prefix(MemoryLayout<sockaddr_un>.size - start))
    withUnsafeMutableBytes(of: &address) { $0[start...].copyBytes(from: path) }
    return withUnsafeBytes(of: address) {
      SocketAddress($0.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t(start + path.count))
    }
  }

  /// The first address of a name, or a numeric one: for our own host, at the start. A name waits for the system's
  /// resolver, which has its own time limit.
  package static func resolve(_ host: String, port: Int) -> Result<SocketAddress, ResolveError> {
    lookUp(host, port: port, flags: AI_NUMERICSERV)
  }

  /// A numeric address, as tickets have it. Never waits: what came from outside makes no thread ask a name server.
  package static func numeric(_ host: String, port: Int) -> Result<SocketAddress, ResolveError> {
    lookUp(host, port: port, flags: AI_NUMERICSERV | AI_NUMERICHOST)
  }

  private static func lookUp(_ host: String, port: Int, flags: Int32) -> Result<SocketAddress, ResolveError> {
    guard let port = UInt16(exactly: port) else { return .failure(ResolveError(text: "\(port) is no port")) }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = flags
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, "\(port)", &hints, &list)
    guard status == 0, let list else {
      let isName = flags & AI_NUMERICHOST != 0 && status == EAI_NONAME
      return .failure(ResolveError(text: isName ? "it is no numeric address" : String(cString: gai_strerror(status))))
    }
    defer { freeaddrinfo(list) }
    return .success(SocketAddress(list.pointee.ai_addr, list.pointee.ai_addrlen))
  }

  package struct ResolveError: Error {
    let text: String
  }

  package func withPointer<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
    bytes.withUnsafeBytes { body($0.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t(bytes.count)) }
  }

  package var isLoopback: Bool {
    switch family {
    case AF_UNIX: true
    case AF_INET: bytes.count > 4 && bytes[4] == 127
    case AF_INET6: bytes.count >= 24 && bytes[8..<23].allSatisfy { $0 == 0 } && bytes[23] == 1
    default: false
    }
  }

  /// 0.0.0.0 or ::, which nobody can dial.
  package var isWildcard: Bool {
    switch family {
    case AF_INET: bytes.count >= 8 && bytes[4..<8].allSatisfy { $0 == 0 }
    case AF_INET6: bytes.count >= 24 && bytes[8..<24].allSatisfy { $0 == 0 }
    default: false
    }
  }

  /// `address:port` at the other end of a connected TCP socket.
  static func peerName(of descriptor: Int32) -> String {
    name(descriptor, getpeername).map { "\($0.host):\($0.port)" } ?? "a decoder"
  }

  /// Where a bound TCP socket is, numeric.
  package static func bound(_ descriptor: Int32) -> (host: String, port: Int) {
    name(descriptor, getsockname) ?? ("", 0)
  }

  private static func name(
    _ descriptor: Int32,
    _ ask: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
  ) -> (host: String, port: Int)? {
    var storage = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var host = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN) + Int(IF_NAMESIZE))
    let port = withUnsafeMutableBytes(of: &storage) { storage -> Int? in
      let address = storage.assumingMemoryBound(to: sockaddr.self).baseAddress!
      guard ask(descriptor, address, &length) == 0,
        getnameinfo(address, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0
      else { return nil }
      return Int(storage[2]) << 8 | Int(storage[3])
    }
    return port.map { (String(decoding: host.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self), $0) }
  }
}
