import NIOCore
import ServingAPI

/// LMCache's push contract (`disagg_spec`): the prefiller is told where the decoder takes KV, sends it there, and tells the
/// proxy when it is done, once for each rank. Its answer has the first token, which goes to the client at once; the decoder
/// is asked for what comes after it, as after a migration.
///
/// A prefiller of this kind must never get a request without a `disagg_spec`: its engine ends with an error.
package struct LMCacheDisaggHandoff: Handoff {
  private let decoders: [WorkerAddress: Int]
  private let receivers: LMCacheReceivers

  package init(decoders: [WorkerAddress], receivers: LMCacheReceivers) {
    self.decoders = Dictionary(
      decoders.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
    self.receivers = receivers
  }

  package var timing: HandoffTiming { .pushed(notices: receivers.initPorts.count) }

  package func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer {
    let index = pair.decoder.flatMap { decoders[$0] } ?? 0
    let spec = """
      {"ret_first_tok":true,"disagg_spec":{"req_id":"\(pair.transferID)",\
      "receiver_host":"\(pair.decoder?.host ?? "")",\
      "receiver_init_port":\(receivers.initPorts(of: index)),"receiver_alloc_port":\(receivers.allocPorts(of: index))}}
      """
    return body.edited(LMCacheHandoff.edits(limit: body.limit) + [.set("kv_transfer_params", spec)])
  }

  /// What the decoder gets is made of the tokens, not of a handoff in the answer.
  package func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer? { nil }
}

/// Where LMCache's decoders take KV, one port for each rank, and where its prefillers tell the proxy that it is there.
package struct LMCacheReceivers: Sendable {
  package var initPorts = [8300]
  package var allocPorts = [8400]
  /// Whether each decoder's ports are one more than those of the decoder before: several stand on one host.
  package var countsUp = false
  package var noticeHost = "localhost"
  /// 0 lets the system choose.
  package var noticePort = 8500

  package init() {}

  func initPorts(of decoder: Int) -> [Int] { initPorts.map { countsUp ? $0 + decoder : $0 } }

  func allocPorts(of decoder: Int) -> [Int] { allocPorts.map { countsUp ? $0 + decoder : $0 } }
}
