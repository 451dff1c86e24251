import Foundation

/// Finds out before anything starts whether a port is taken, and by whom.
package enum PortCheck {
  package static func isIPv4Address(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
  }

  /// - Returns: Whether `port` can be bound there now; true also where `host` has no IPv4 address to try.
  static func isFree(host: String, port: Int) -> Bool {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
    let numeric = LocalHosts.addresses(of: host).first(where: isIPv4Address)
    guard let numeric, inet_pton(AF_INET, numeric, &address.sin_addr) == 1 else { return true }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  /// The process that listens on `port`, from `/proc`; nil if it is not ours to see.
  static func holder(ofPort port: Int) -> (pid: Int32, command: String)? {
    let inodes = listeningInodes(port)
    guard !inodes.isEmpty else { return nil }
    for pid in ProcessTable.processes() {
      let folder = "/proc/\(pid)/fd"
      for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)") else {
          continue
        }
        if inodes.contains(where: { target == "socket:[\($0)]" }) { return (pid, ProcessTable.commandLine(of: pid)) }
      }
    }
    return nil
  }

  /// Lines of `/proc/net/tcp` and `tcp6` with this local port in state 0A, LISTEN.
  private static func listeningInodes(_ port: Int) -> [Substring] {
    let hexadecimal = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: max(0, 4 - hexadecimal.count)) + hexadecimal
    return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { path -> [Substring] in
      let table = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      return table.split(separator: "\n").dropFirst().compactMap { line in
        let fields = line.split(separator: " ")
        return fields.count > 9 && fields[1].hasSuffix(suffix) && fields[3] == "0A" ? fields[9] : nil
      }
    }
  }
}
