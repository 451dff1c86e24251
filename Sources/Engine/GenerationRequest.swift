import KVTransfer

/// One prompt to continue, in token ids.
package struct GenerationRequest: Sendable {
  /// What becomes of the prompt's KV.
  package enum Handoff: Sendable {
    /// Computed and used here.
    case none
    /// Prefill only: publish the prompt's blocks when it is computed (`do_remote_decode`).
    case produce
    /// The same, and the ticket is given out as soon as the prompt has its blocks (`TokenEvent.handoff`), so that the KV
    /// can be pulled while it is computed.
    case produceEarly
    /// Pull the prompt's KV from the prefiller that published it (`do_remote_prefill`).
    case consume(KVHandoff)
  }

  /// Names the request in the log and to `Engine.cancel`. Let it be unique: two requests of one id are cancelled
  /// together.
  package var id: String
  /// At least one token.
  package var promptTokens: [Int32]
  /// How many of `promptTokens`, the last ones, are output already: the request began at another worker and goes on here
  /// as if it had not moved. Limits count new tokens only.
  package var earlierOutput: Int
  package var sampling: SamplingParameters
  package var handoff: Handoff
  /// Requests with different salts never share KV by the prefix cache (`cache_salt`).
  package var cacheSalt: String?
  /// The grammar that the output must follow, before its first token.
  package var constraint: (any TokenConstraint)?
  /// No token is asked for: the output is the hidden state of the prompt's last token.
  package var embeds = false

  package init(
    id: String, promptTokens: [Int32], earlierOutput: Int = 0, sampling: SamplingParameters = SamplingParameters(),
    handoff: Handoff = .none, cacheSalt: String? = nil, constraint: (any TokenConstraint)? = nil
  ) {
    self.id = id
    self.promptTokens = promptTokens
    self.earlierOutput = earlierOutput
    self.sampling = sampling
    self.handoff = handoff
    self.cacheSalt = cacheSalt
    self.constraint = constraint
  }
}
