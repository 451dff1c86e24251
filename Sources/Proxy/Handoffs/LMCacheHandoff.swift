import NIOCore
import ServingAPI

/// The example's contract: a prefill of one token, whose answer nobody needs, then the same prompt at the decoder, which
/// finds the KV by the prompt's content.
package struct LMCacheHandoff: Handoff {
  /// - Parameter limit: The endpoint's name for the number of tokens that are wanted.
  static func edits(limit: String) -> [JSONEdit] {
    [
      .set(limit, "1"), .replace("max_completion_tokens", "1"), .replace("stream", "false"),
      .remove("stream_options"), .remove("min_tokens"),
    ]
  }

  package init() {}

  package func prefillBody(of body: ClientBody, pair: LegPair) -> ByteBuffer {
    body.edited(Self.edits(limit: body.limit) + [.remove("kv_transfer_params")])
  }

  package func decodeBody(of body: ClientBody, pair: LegPair, prefillAnswer: ByteBuffer?) -> ByteBuffer? { body.plain }
}
