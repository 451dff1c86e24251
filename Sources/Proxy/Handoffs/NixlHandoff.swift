import NIOCore
import ServingAPI

/// vLLM's pull contract: the prefiller's answer carries `kv_transfer_params`, which the decoder gets unread.
///
/// The prefill is never streamed (a streamed one carries no params), and its limits are 1: the token that it computes is
/// thrown away, because the decoder emits the first one itself. `stream_options` needs `stream`, `min_tokens` would
/// exceed the limit.
package struct NixlHandoff: Handoff {
  private static let ask = """
    {"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"remote_block_ids":null,\
    "remote_host":null,"remote_port":null}
    """
  package init() {}

  package func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer {
    body.edited(LMCacheHandoff.edits(limit: body.limit) + [.set("kv_transfer_params", Self.ask)])
  }

  package func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer? {
    guard let prefillAnswer else { return nil }
    let params = prefillAnswer.withUnsafeReadableBytes { bytes -> [UInt8]? in
      guard let range = try? JSONObject(scanning: bytes).value(of: "kv_transfer_params") else { return nil }
      return bytes[range.lowerBound] == UInt8(ascii: "{") ? Array(bytes[range]) : nil
    }
    return params.map { body.edited([.set("kv_transfer_params", $0)]) }
  }
}
