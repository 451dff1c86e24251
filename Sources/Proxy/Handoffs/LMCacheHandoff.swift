import NIOCore
import ServingAPI

/// The example's contract: a prefill of one token, whose answer nobody needs, then the same prompt at the decoder, which
/// finds the KV by the prompt's content.
package struct LMCacheHandoff: Handoff {
  static let edits: [JSONEdit] = [
    .set("max_tokens", "1"), .replace("max_completion_tokens", "1"), .replace("stream", "false"),
    .remove("stream_options"), .remove("min_tokens"),
  ]

  package init() {}

  package func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer {
    body.edited(Self.edits + [.remove("kv_transfer_params")])
  }

  package func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer? { body.plain }
}
