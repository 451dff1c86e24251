import NIOCore

/// The workers of one attempt, and what only this attempt's legs share.
package struct LegPair: Sendable {
  package var prefiller: WorkerAddress
  /// nil while it is not chosen yet, which may be so under `HandoffTiming.afterPrefill` only.
  package var decoder: WorkerAddress?
  /// Under `HandoffTiming.together`: random and new for each attempt; at most `Int64.max`, because workers read it as a
  /// signed number.
  package var room: UInt64

  package init(prefiller: WorkerAddress, decoder: WorkerAddress?, room: UInt64 = 0) {
    self.prefiller = prefiller
    self.decoder = decoder
    self.room = room
  }

  static func newRoom() -> UInt64 { .random(in: 0...UInt64(Int64.max)) }
}

package enum HandoffTiming: Sendable {
  /// The decoder is chosen when the prefill's answer is there.
  case afterPrefill
  /// Both legs start at once. The prefill leg's answer is read and dropped; either leg's fault fails the attempt.
  case together
}

/// How the two legs of a request are tied. Its bodies are pure functions of the client's body and the pair.
package protocol Handoff: Sendable {
  var timing: HandoffTiming { get }

  /// Whether a decoder serves a request that comes without a handoff, by prefilling it.
  var decodersCanPrefill: Bool { get }

  func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer

  /// - Parameter prefillAnswer: The prefiller's whole answer, status 2xx; nil under `HandoffTiming.together`.
  /// - Returns: nil if the answer holds no handoff.
  func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer?
}

extension Handoff {
  package var timing: HandoffTiming { .afterPrefill }
  package var decodersCanPrefill: Bool { true }
}

extension ProxyConfiguration {
  /// nil if there is no prefill leg.
  func makeHandoff(_ kind: HandoffKind) -> (any Handoff)? {
    switch kind {
    case .nixl, .auto: NixlHandoff()
    case .lmcache: LMCacheHandoff()
    case .sglang: SGLangHandoff(prefillers: prefillers, bootstrapPorts: bootstrapPorts)
    case .none: nil
    }
  }
}
