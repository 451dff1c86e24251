import Glibc
import NIOCore
import NIOPosix

/// The addresses behind names, such as those of headless services, asked for again and again.
package struct DNSDiscovery: WorkerDiscovery {
  /// Each worker's name in place of its host.
  package typealias Resolver = @Sendable (_ host: String) async throws(DiscoveryError) -> [String]

  private let names: [WorkerEndpoint]
  private let interval: Duration
  private let resolve: Resolver

  package init(names: [WorkerEndpoint], interval: Duration, resolve: @escaping Resolver = SystemResolver.addresses) {
    self.names = names
    self.interval = interval
    self.resolve = resolve
  }

  package func run(_ report: @escaping @Sendable (Result<[WorkerEndpoint], DiscoveryError>) -> Void) async {
    repeat {
      do throws(DiscoveryError) {
        report(.success(try await lookUp()))
      } catch {
        // One name that does not resolve leaves all as they were: half a list would drain the other half.
        report(.failure(error))
      }
    } while (try? await Task.sleep(for: interval)) != nil
  }

  private func lookUp() async throws(DiscoveryError) -> [WorkerEndpoint] {
    var found: [WorkerEndpoint] = []
    for name in names {
      for address in try await resolve(name.address.host) {
        found.append(WorkerEndpoint(name.role, WorkerAddress(host: address, port: name.address.port)))
      }
    }
    return found
  }
}

/// The system's resolver, with its own deadlines, on a thread that may wait.
package enum SystemResolver {
  /// - Returns: IPv4 addresses; IPv6's if there are none, so that a worker with both is not two.
  @Sendable package static func addresses(of host: String) async throws(DiscoveryError) -> [String] {
    let answer: Result<[String], DiscoveryError>
    do {
      answer = try await NIOThreadPool.singleton.runIfActive { lookUp(host) }
    } catch {
      throw .unresolved(host: host, reason: "\(error)")
    }
    return try answer.get()
  }

  private static func lookUp(_ host: String) -> Result<[String], DiscoveryError> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var first: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &first)
    guard code == 0 else {
      return .failure(.unresolved(host: host, reason: String(cString: gai_strerror(code))))
    }
    defer { freeaddrinfo(first) }
    var (ipv4, ipv6): ([String], [String]) = ([], [])
    var next = first
    while let entry = next?.pointee {
      if let text = numericHost(entry) {
        if entry.ai_family == AF_INET { ipv4.append(text) } else { ipv6.append(text) }
      }
      next = entry.ai_next
    }
    return .success(ipv4.isEmpty ? ipv6 : ipv4)
  }

  private static func numericHost(_ entry: addrinfo) -> String? {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let code = getnameinfo(
      entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    return code == 0 ? text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } : nil
  }
}
