import NIOCore

/// The workers of one attempt, and what only this attempt's legs share.
package struct LegPair: Sendable {
  package var prefiller: WorkerAddress
  /// nil while it is not chosen yet, which is so under `HandoffTiming.afterPrefill`.
  package var decoder: WorkerAddress?
  /// But for `HandoffTiming.afterPrefill`: random and new for each attempt; at most `Int64.max`, because workers read it
  /// as a signed number.
  package var room: UInt64

  package init(prefiller: WorkerAddress, decoder: WorkerAddress?, room: UInt64 = 0) {
    self.prefiller = prefiller
    self.decoder = decoder
    self.room = room
  }

  /// What a prefiller calls the transfer when it tells that it is complete.
  var transferID: String { "\(room)" }

  static func newRoom() -> UInt64 { .random(in: 0...UInt64(Int64.max)) }
}

package enum HandoffTiming: Sendable, Equatable {
  /// The decoder is chosen when the prefill's answer is there.
  case afterPrefill
  /// Both legs start at once. The prefill leg's answer is read and dropped; either leg's fault fails the attempt.
  case together
  /// The decoder is chosen before the prefill, and gets the KV from the prefiller unasked. It may begin when so many
  /// notices have come; the prefill's answer has the first token.
  case pushed(notices: Int)
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
    case .lmcacheDisagg: LMCacheDisaggHandoff(decoders: decoders, receivers: lmcache)
    case .none: nil
    }
  }
}
