import Foundation

/// What TCP carries between two hosts, by one connection that sends for half a second.
package enum Bandwidth {
  /// Discards what comes on `port`, one connection after the other, for ever.
  ///
  /// - Throws: `BandwidthError` if the port cannot be listened on.
  package static func runSink(port: Int) throws {
    let listener = try listen(port: port).descriptor
    while true { drain(accept(listener, nil, nil)) }
  }

  /// - Returns: Bytes a second; nil if nobody listens there.
  static func measure(to host: String, port: Int) async -> Double? {
    await onThread {
      LocalHosts.addresses(of: host).first(where: PortCheck.isIPv4Address).flatMap { send(to: $0, port: port) }
    }
  }

  static func measureLoopback() async -> Double? {
    await onThread {
      guard let (listener, port) = try? listen(port: 0, host: "127.0.0.1") else { return nil }
      let sink = Thread {
        drain(accept(listener, nil, nil))
        close(listener)
      }
      sink.start()
      return send(to: "127.0.0.1", port: port)
    }
  }

  private static func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: body()) }
    }
  }

  private static func send(to address: String, port: Int) -> Double? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    // For connecting, too.
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard withAddress(address, port, { connect(descriptor, $0, $1) }) == 0 else { return nil }
    let chunk = [UInt8](repeating: 0, count: 1 << 20)
    let begin = ContinuousClock.now
    var sent = 0
    while begin.duration(to: .now) < .milliseconds(500) {
      let count = Glibc.send(descriptor, chunk, chunk.count, Int32(MSG_NOSIGNAL))
      guard count > 0 else { break }
      sent += count
    }
    return sent > 0 ? Double(sent) / (begin.duration(to: .now) / .seconds(1)) : nil
  }

  private static func drain(_ connection: Int32) {
    guard connection >= 0 else { return }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while recv(connection, &buffer, buffer.count, 0) > 0 {}
    close(connection)
  }

  private static func listen(port: Int, host: String = "0.0.0.0") throws -> (descriptor: Int32, port: Int) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    guard withAddress(host, port, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 1) == 0 else {
      throw BandwidthError(port: port, reason: String(cString: strerror(errno)))
    }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return (descriptor, Int(in_port_t(bigEndian: address.sin_port)))
  }

  private static func withAddress(
    _ text: String, _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
    inet_pton(AF_INET, text, &address.sin_addr)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}

package struct BandwidthError: Error, CustomStringConvertible {
  let port: Int
  let reason: String
  package var description: String { "cannot listen on port \(port): \(reason); choose another with --sink" }
}
