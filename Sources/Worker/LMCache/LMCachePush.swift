/// What LMCache's settings say about this worker's part in push mode (`enable_nixl`, newer: `enable_pd`).
package struct LMCachePush: Sendable, Equatable {
  package enum Role: String, Sendable {
    case sender
    case receiver
  }

  package var role: Role
  /// The receiver's: where it listens, and where senders find it.
  package var host = "localhost"
  package var port = 0
  /// Of the receiver's buffer.
  package var bufferBytes = 1 << 30
  /// Whether KV that nobody reads may be given up after half a minute, or only after ten.
  package var collectsUnread = true
  /// How long a sender waits for room at the receiver; then it prefills, and the decoder computes the prompt too.
  package var roomTimeout = Duration.seconds(30)

  package init(role: Role, port: Int) {
    self.role = role
    self.port = port
  }

  /// - Parameter source: for errors' texts.
  init(_ reader: inout LMCacheReader, source: String) throws(WorkerError) {
    guard let role = Role(rawValue: reader.text("pd_role") ?? "") else {
      throw .badLMCacheConfiguration(source: source, "nixl_role (newer: pd_role) is neither sender nor receiver")
    }
    self.role = role
    host = reader.text("pd_peer_host") ?? host
    port = try reader.number("pd_peer_init_port", in: 0...65_535) ?? 0
    guard port > 0 || role == .receiver else {
      throw .badLMCacheConfiguration(source: source, "a sender needs nixl_peer_port (newer: pd_peer_init_port)")
    }
    bufferBytes = try reader.number("pd_buffer_size", in: 1...(1 << 50)) ?? bufferBytes
    collectsUnread = try reader.flag("nixl_enable_gc") ?? true
    if let seconds = try reader.number("pd_allocation_timeout_sec", in: 0...600) { roomTimeout = .seconds(seconds) }
  }
}
