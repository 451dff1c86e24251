/// Tells prefillers of handoffs that nobody will pull: best effort, one after the other, on a thread of its own.
///
/// One that must wait for longer than a handshake may take is dropped: then its lease ends it.
final class Abandoner: Sendable {
  private let connections: PeerConnections
  private let timeouts: TransferConfiguration.Timeouts
  private let threads = PullThreads(limit: 1, name: "kv-abandon")

  init(_ connections: PeerConnections, _ timeouts: TransferConfiguration.Timeouts) {
    self.connections = connections
    self.timeouts = timeouts
  }

  /// Returns at once.
  func abandon(_ handoff: KVHandoff) {
    let patience = Patience(stall: timeouts.handshake, whole: timeouts.handshake)
    _ = threads.enqueue { [self] in
      if ContinuousClock.now < patience.end { try? tell(handoff, patience) }
    }
  }

  /// Returns when all has been told that can be told in time.
  func close() { threads.close() }

  private func tell(_ handoff: KVHandoff, _ patience: Patience) throws(KVTransferError) {
    let resting = connections.takeIdle(for: handoff)
    let connection = if let resting { resting } else { try connections.connect(for: handoff, PullCancellation()) }
    try connection.abandon(handoff, patience)
    connections.giveBack(connection, for: handoff)
  }
}
