import Glibc

/// Which names and addresses mean this machine.
package enum LocalHosts {
  /// - Returns: False also for a name that nobody knows: what is not here is awaited elsewhere.
  package static func contain(_ host: String) -> Bool {
    if host == "localhost" || host == "0.0.0.0" || host == "::1" || host.hasPrefix("127.") { return true }
    let own = ownAddresses()
    return addresses(of: host).contains { own.contains($0) || $0.hasPrefix("127.") || $0 == "::1" }
  }

  /// The numeric addresses that a name stands for.
  static func addresses(of host: String) -> [String] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    return sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry in
      entry.flatMap { numeric($0.pointee.ai_addr, $0.pointee.ai_addrlen) }
    }
  }

  private static func ownAddresses() -> Set<String> {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: Set<String> = []
    var next = list
    while let entry = next {
      if let address = entry.pointee.ifa_addr {
        let isIPv6 = Int32(address.pointee.sa_family) == AF_INET6
        let length = isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        if isIPv6 || Int32(address.pointee.sa_family) == AF_INET, let text = numeric(address, socklen_t(length)) {
          found.insert(text)
        }
      }
      next = entry.pointee.ifa_next
    }
    return found
  }

  private static func numeric(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> String? {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
