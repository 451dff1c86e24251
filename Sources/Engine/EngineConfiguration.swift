/// What an operator sets; names in comments are vLLM's flags.
package struct EngineConfiguration: Sendable {
  /// What a request does whose KV could not be pulled (`kv_load_failure_policy`).
  package enum PullFailurePolicy: String, Sendable {
    case recompute
    case fail
  }

  /// Sequences in one step at most (`--max-num-seqs`).
  package var maxSequences = 64
  /// New tokens in one step at most (`--max-num-batched-tokens`); at least `maxSequences`, so that every decode fits.
  package var maxBatchedTokens = 512
  /// The longest sequence, prompt and output together (`--max-model-len`); nil: the model's context.
  package var maxModelLength: Int?
  /// Ids below it may be chosen and sent; nil: every row of the model's output matrix, which may have more rows than
  /// the tokenizer has tokens.
  package var vocabularySize: Int?
  /// Requests that may wait to be admitted; one more is refused.
  package var maxWaiting = 256
  /// `--enable-prefix-caching`.
  package var enablePrefixCaching = true
  /// Tokens that end every output, unless a request ignores them.
  package var eosTokenIDs: Set<Int32> = []
  /// How long a published handoff waits for its decoder.
  package var lease: Duration = .seconds(30)
  package var pullFailurePolicy = PullFailurePolicy.recompute
  /// `--speculative-config`; nil: every token takes a step.
  package var speculation: NGramSpeculation?

  package init() {}
}
