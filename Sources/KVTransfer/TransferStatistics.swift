/// What a transport has done since its start, for `/metrics`.
package struct TransferStatistics: Sendable, Equatable {
  // As publisher.
  package var published = 0
  /// Handoffs that ended, by how: pulled by a peer, lease ran out, withdrawn.
  package var pulledByPeer = 0
  package var expired = 0
  package var withdrawn = 0

  // As puller.
  package var pullsByTransport: [String: Int] = [:]
  package var bytesByTransport: [String: Int] = [:]
  /// By `KVTransferError.label`.
  package var failuresByLabel: [String: Int] = [:]

  /// Handoffs whose blocks are pinned now.
  package var pending: Int { published - pulledByPeer - expired - withdrawn }
}
