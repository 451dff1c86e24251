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

  /// A numeric host never waits; a name waits for the system's resolver, which has its own time limit.
  package static func resolve(_ host: String, port: Int) -> Result<[SocketAddress], ResolveError> {
    guard let port = UInt16(exactly: port) else { return .failure(ResolveError(text: "\(port) is no port")) }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, "\(port)", &hints, &list)
    guard status == 0, let list else { return .failure(ResolveError(text: String(cString: gai_strerror(status)))) }
    defer { freeaddrinfo(list) }
    let found = sequence(first: list, next: \.pointee.ai_next)
    return .success(found.map { SocketAddress($0.pointee.ai_addr, $0.pointee.ai_addrlen) })
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
    var storage = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var (host, port) = ([CChar](repeating: 0, count: 64), [CChar](repeating: 0, count: 8))
    let status = withUnsafeMutableBytes(of: &storage) { storage -> Int32 in
      let address = storage.assumingMemoryBound(to: sockaddr.self).baseAddress!
      guard getpeername(descriptor, address, &length) == 0 else { return -1 }
      return getnameinfo(address, length, &host, 64, &port, 8, NI_NUMERICHOST | NI_NUMERICSERV)
    }
    guard status == 0 else { return "a decoder" }
    return [host, port].map { String(decoding: $0.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self) }
      .joined(separator: ":")
  }

  /// The port of a bound socket.
  package static func boundPort(of descriptor: Int32) -> Int {
    var storage = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    return withUnsafeMutableBytes(of: &storage) { storage in
      let address = storage.assumingMemoryBound(to: sockaddr.self).baseAddress!
      guard getsockname(descriptor, address, &length) == 0 else { return 0 }
      return Int(storage[2]) << 8 | Int(storage[3])
    }
  }
}
