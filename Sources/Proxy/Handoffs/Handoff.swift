import NIOCore

/// How the two legs of a request are tied. A pure function of the bodies.
protocol Handoff: Sendable {
  func prefillBody(of body: ClientBody) -> ByteBuffer

  /// - Parameter prefillAnswer: The prefiller's whole answer, status 2xx.
  /// - Returns: nil if the answer holds no handoff.
  func decodeBody(of body: ClientBody, prefillAnswer: ByteBuffer) -> ByteBuffer?
}

extension HandoffKind {
  /// nil if there is no prefill leg.
  var handoff: (any Handoff)? {
    switch self {
    case .nixl: NixlHandoff()
    case .lmcache: LMCacheHandoff()
    case .none: nil
    }
  }
}
