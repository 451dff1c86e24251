/// HTTP header names and media types that worker and proxy agree on.
package enum HeaderNames {
  package static let requestID = "X-Request-Id"
  package static let retryAfter = "Retry-After"
  /// A worker's answer bears it, with the number, if it goes on after `xpyd_output_tokens` as if it had made them.
  package static let continued = "X-Xpyd-Continued"
  /// `1` on a request that asks for KV (`do_remote_decode`): its `kv_transfer_params` are wanted before the KV is computed.
  /// They come under this name in an interim response (103).
  package static let earlyTicket = "X-Xpyd-Early-Ticket"
}

package enum MediaTypes {
  package static let json = "application/json"
  package static let eventStream = "text/event-stream; charset=utf-8"
  package static let metrics = "text/plain; version=0.0.4; charset=utf-8"
}
