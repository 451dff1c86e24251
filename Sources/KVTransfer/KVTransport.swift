import KVBlocks

/// Moves KV blocks from the worker that computed them to the worker that decodes with them.
///
/// The only order: `open` → `pull` or `abandon` (by the peer) → released. A failed pull leaves the blocks published,
/// and may be tried again until the lease runs out; a cancelled one abandons them.
package protocol KVTransport: Sendable {
  /// Gives out the ticket to `blocks` while the prompt's KV is still being computed into them. The caller has to
  /// `complete` or to `fail` the publication. Once it is complete the blocks are pinned under a lease. `onRelease` is called
  /// at most once, on any thread, when the handoff is over: pulled and acknowledged, withdrawn, or its lease ran out with
  /// nobody reading. Not after `fail`; perhaps before `complete`, for the last layer's KV is there before the prompt's
  /// request ends.
  func open(
    _ blocks: [KVBlockID], tokens: Int, requestID: String, lease: Duration, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVPublication

  /// Copies the handoff's blocks into `destination`, checks that the source held them to the end, and releases them there.
  /// - Parameter destination: at least `layout.blocks(forTokens: tokens)` blocks, which nobody else reads or writes
  ///   until this returns or throws.
  /// - Returns: What moved, for metrics.
  func pull(_ handoff: KVHandoff, into destination: [KVBlockID]) async throws(KVTransferError) -> KVPullReport

  /// Tells the publisher that nobody will pull a handoff of its, so that it releases the blocks now and not when the
  /// lease ends (the client left before the pull began). Returns at once and may fail unseen: the lease remains.
  func abandon(_ handoff: KVHandoff)

  /// Gives a published handoff up before its lease ends (the client left). Harmless if it is gone already.
  func withdraw(_ id: KVHandoff.ID)
}

extension KVTransport {
  /// Pins blocks that are computed, and returns the ticket to them. `onRelease` is called exactly once, when they may be
  /// reused.
  package func publish(
    _ blocks: [KVBlockID], tokens: Int, requestID: String, lease: Duration, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVHandoff {
    let publication = try open(blocks, tokens: tokens, requestID: requestID, lease: lease, onRelease: onRelease)
    publication.complete()
    return publication.handoff
  }
}

/// The claim ticket that a prefiller gives out; on HTTP it is vLLM's `kv_transfer_params`.
package struct KVHandoff: Hashable, Sendable {
  /// 128 random bits in lower-case hex (`remote_request_id` ends with it): cannot be guessed.
  package struct ID: Hashable, Sendable {
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }
  }

  package var id: ID
  /// The publishing engine; new at each start of the process.
  package var engineID: String
  /// Where its transfer server listens.
  package var host: String
  package var port: Int
  /// Blocks in the publisher's pool, in the order of the prompt.
  package var blocks: [KVBlockID]
  /// Tokens of KV in those blocks.
  package var tokens: Int
  /// Given out before the KV was computed: a pull may have to wait for it.
  package var isEarly = false

  package init(id: ID, engineID: String, host: String, port: Int, blocks: [KVBlockID], tokens: Int) {
    self.id = id
    self.engineID = engineID
    self.host = host
    self.port = port
    self.blocks = blocks
    self.tokens = tokens
  }
}

package struct KVPullReport: Sendable {
  /// `shm`, `tcp` or `nixl`.
  package var transport: String
  package var bytes: Int
  package var blocks: Int
  /// Of a pull that followed the prefill: since its last piece was announced.
  package var duration: Duration
  /// The KV was pulled while it was computed.
  package var followed: Bool

  package init(transport: String, bytes: Int, blocks: Int, duration: Duration, followed: Bool = false) {
    self.transport = transport
    self.bytes = bytes
    self.blocks = blocks
    self.duration = duration
    self.followed = followed
  }
}
