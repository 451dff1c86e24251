import KVBlocks
import KVTransfer

/// One request as the scheduler sees it: its tokens, and how far their KV is computed.
package struct SequenceState: Sendable {
  /// Order of arrival; a smaller number has precedence.
  package let number: UInt64
  package let promptCount: Int
  package let cacheSalt: String?
  /// Prompt and output. A preempted sequence keeps its output and computes its KV again.
  package var tokens: [Int32]
  /// How many of `tokens` have their KV in `table`.
  package var computed = 0
  package var table = KVBlockTable()
  /// The handoff that is still to be pulled.
  package var pull: KVHandoff?
  package var promptSources = PromptTokensBySource()
  /// Positions whose logits are still to be computed for the log-probabilities of the prompt's next tokens.
  package var unscored: Range<Int>

  package init(
    number: UInt64, promptTokens: [Int32], cacheSalt: String? = nil, pull: KVHandoff? = nil, scoresPrompt: Bool = false
  ) {
    unscored = 0..<(scoresPrompt ? max(0, promptTokens.count - 1) : 0)
    self.number = number
    self.promptCount = promptTokens.count
    self.cacheSalt = cacheSalt
    self.tokens = promptTokens
    self.pull = pull
  }

  /// At the first admission: `computed` tokens have their KV, so many of them by the prefix cache, the others by what was
  /// evicted and kept.
  package mutating func noteSources(prefixCache: Int) {
    guard !wasAdmitted else { return }
    promptSources.prefixCache = prefixCache
    promptSources.offloaded = computed - prefixCache
    promptSources.computed = pending
  }

  /// Tokens to compute before the next can be sampled; 1 in decode.
  package var pending: Int { tokens.count - computed }
  /// False only until the first admission.
  package var wasAdmitted: Bool { promptSources != PromptTokensBySource() }
}
