import KVBlocks

/// Why KV did not move. `description` says what happened with its values, then what to do; `label` is for metrics.
package enum KVTransferError: Error, Equatable {
  // What the peer answered.
  case unknownHandoff(KVHandoff.ID, peer: String)
  case leaseExpired(KVHandoff.ID, peer: String)
  case alreadyClaimed(KVHandoff.ID, peer: String)
  /// The handoff promised other tokens than the publisher holds under its id.
  case tokensMismatch(KVHandoff.ID, promised: Int, held: Int)
  /// The publisher gave up the prompt that was still being computed: its client left, or its pool was full.
  case prefillFailed(KVHandoff.ID, peer: String)
  /// Another engine answers at the handoff's address: the publisher was restarted, and its KV is gone.
  case engineMismatch(expected: String, found: String, peer: String)

  // What the two workers disagree on; seen in the handshake, before any KV moves.
  case versionMismatch(local: ClosedRange<UInt16>, remote: ClosedRange<UInt16>, peer: String)
  case modelMismatch(local: String, remote: String, peer: String)
  case tokenizerMismatch(local: String, remote: String, peer: String)
  case layoutMismatch(local: String, remote: String, peer: String)
  case unauthorized(peer: String)

  // The way there.
  case peerUnreachable(peer: String, reason: String)
  /// The connection ended while this side was still waiting for `during`.
  case peerClosed(peer: String, during: String)
  case timedOut(what: String, after: Duration)
  /// The bytes of a block differ from those that were sent; `index` counts from the start of the prompt.
  case corrupt(block: Int, peer: String)
  case protocolViolation(peer: String, String)

  // What a receiver answers that is to take a prompt's KV.
  /// In bytes.
  case bufferTooSmall(needed: Int, capacity: Int, peer: String)
  case bufferFull(peer: String, after: Duration)
  case pushFailed(peer: String, reason: String)

  // NIXL.
  case nixlUnavailable(reason: String)
  case nixlFailed(String)

  // This side.
  case destinationTooSmall(needed: Int, given: Int)
  case handoffTooLarge(blocks: Int, limit: Int)
  case insecureListener(host: String)
  case cannotListen(host: String, port: Int, reason: String)
  case cancelled
  case closed
}

extension KVTransferError {
  /// A fixed word for metrics and for the worker's table of HTTP statuses.
  package var label: String {
    switch self {
    case .unknownHandoff: "unknown_handoff"
    case .leaseExpired: "lease_expired"
    case .alreadyClaimed: "already_claimed"
    case .tokensMismatch: "tokens_mismatch"
    case .prefillFailed: "prefill_failed"
    case .engineMismatch: "engine_mismatch"
    case .versionMismatch: "version_mismatch"
    case .modelMismatch: "model_mismatch"
    case .tokenizerMismatch: "tokenizer_mismatch"
    case .layoutMismatch: "layout_mismatch"
    case .unauthorized: "unauthorized"
    case .peerUnreachable: "peer_unreachable"
    case .peerClosed: "peer_closed"
    case .timedOut: "timed_out"
    case .corrupt: "corrupt"
    case .protocolViolation: "protocol_violation"
    case .bufferTooSmall: "buffer_too_small"
    case .bufferFull: "buffer_full"
    case .pushFailed: "push_failed"
    case .nixlUnavailable: "nixl_unavailable"
    case .nixlFailed: "nixl_failed"
    case .destinationTooSmall: "destination_too_small"
    case .handoffTooLarge: "handoff_too_large"
    case .insecureListener: "insecure_listener"
    case .cannotListen: "cannot_listen"
    case .cancelled: "cancelled"
    case .closed: "closed"
    }
  }
}

extension KVTransferError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unknownHandoff, .leaseExpired, .alreadyClaimed, .tokensMismatch, .prefillFailed, .engineMismatch: refusal
    case .versionMismatch, .modelMismatch, .tokenizerMismatch, .layoutMismatch, .unauthorized: disagreement
    case .peerUnreachable, .peerClosed, .timedOut, .corrupt, .protocolViolation: broken
    case .bufferTooSmall, .bufferFull, .pushFailed: notTaken
    case .nixlUnavailable(let reason):
      "NIXL cannot be used: \(reason). Install it with `pip install --no-deps nixl-cu12`, name it with --nixl-library, or choose another --kv-transport."
    case .nixlFailed(let what):
      "NIXL failed: \(what). Run the same release of it on both workers, or choose another --kv-transport."
    case .destinationTooSmall, .handoffTooLarge, .insecureListener, .cannotListen, .cancelled, .closed:
      local
    }
  }

  private var refusal: String {
    switch self {
    case .unknownHandoff(let id, let peer):
      "\(peer) holds no handoff \(id): it was pulled or withdrawn before. Send the request again, with a new prefill."
    case .leaseExpired(let id, let peer):
      "The lease of handoff \(id) on \(peer) ran out before the decoder pulled it. Raise --kv-lease, or add decoders."
    case .alreadyClaimed(let id, let peer):
      "Another decoder is pulling handoff \(id) from \(peer). Send each prefill's kv_transfer_params to one decoder."
    case .tokensMismatch(let id, let promised, let held):
      "Handoff \(id) promises \(promised) tokens, its publisher holds \(held). Pass kv_transfer_params on unchanged."
    case .prefillFailed(let id, let peer):
      "\(peer) gave up the prompt of handoff \(id) before it was computed. See its log; if its pool was full, raise --num-kv-blocks there."
    case .engineMismatch(let expected, let found, let peer):
      "\(peer) is engine \(found), not \(expected): the prefiller was restarted. Send the request again, with a new prefill."
    default: label
    }
  }

  private var disagreement: String {
    switch self {
    case .versionMismatch(let local, let remote, let peer):
      "We speak KV transfer versions \(local), \(peer) speaks \(remote). Run the same release of xpyd on both."
    case .modelMismatch(let local, let remote, let peer):
      "Models differ: ours \(local), that of \(peer) \(remote). Start both with the same model file and --activations."
    case .tokenizerMismatch(let local, let remote, let peer):
      "Tokenizers differ: ours \(local), that of \(peer) \(remote). Start both workers with the same model file."
    case .layoutMismatch(let local, let remote, let peer):
      "KV layouts differ: ours \(local), that of \(peer) \(remote). Start both with the same model file, --block-size and --kv-cache-dtype."
    case .unauthorized(let peer):
      "\(peer) does not know our shared secret. Start both workers with the same --kv-secret-file."
    default: label
    }
  }

  private var broken: String {
    switch self {
    case .peerUnreachable(let peer, let reason):
      "Cannot reach \(peer): \(reason). See that the prefiller runs and that its KV transfer port is open."
    case .peerClosed(let peer, let during):
      "\(peer) closed the connection during \(during). See the prefiller's log."
    case .timedOut(let what, let duration):
      "No \(what) within \(duration). See that the prefiller runs and can be reached; if it is overloaded, add prefillers."
    case .corrupt(let block, let peer):
      "Block \(block) from \(peer) arrived with a wrong checksum. Check the hosts' memory and network."
    case .protocolViolation(let peer, let what):
      "\(peer) broke the KV transfer protocol: \(what). See that the port is that of an xpyd worker of this release."
    default: label
    }
  }

  private var notTaken: String {
    switch self {
    case .bufferTooSmall(let needed, let capacity, let peer):
      "The prompt's KV is of \(needed) bytes, the receive buffer of \(peer) holds \(capacity). Raise nixl_buffer_size there,"
        + " or send shorter prompts."
    case .bufferFull(let peer, let after):
      "The receive buffer of \(peer) had no room within \(after). Raise nixl_buffer_size there, or add decoders."
    case .pushFailed(let peer, let reason): "\(peer) did not take the prompt's KV: \(reason)"
    default: label
    }
  }

  private var local: String {
    switch self {
    case .destinationTooSmall(let needed, let given):
      "The handoff needs \(needed) blocks, \(given) are set aside for it. Pass kv_transfer_params on unchanged."
    case .handoffTooLarge(let blocks, let limit):
      "A handoff of \(blocks) blocks; \(limit) is the most. Raise --block-size."
    case .insecureListener(let host):
      "Will not listen for KV transfers on \(host) without a shared secret. Give one with --kv-secret-file, or listen on"
        + " 127.0.0.1 (--side-channel-host)."
    case .cannotListen(let host, let port, let reason):
      "Cannot listen for KV transfers on \(host):\(port): \(reason). Give --side-channel-host the address of one network"
        + " interface, or choose another --side-channel-port (0: any free one)."
    case .cancelled: "The pull was cancelled."
    case .closed: "The KV transport is closed."
    default: label
    }
  }
}

extension KVHandoff.ID: CustomStringConvertible {
  package var description: String { rawValue }
}
