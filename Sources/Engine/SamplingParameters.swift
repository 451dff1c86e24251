/// How the next token is chosen; names, ranges and defaults are vLLM's.
///
/// Stop *strings* are not here: they are text, and the worker's detokeniser cuts at them and cancels the request.
package struct SamplingParameters: Sendable, Equatable {
  package var temperature: Float = 1
  package var topP: Float = 1
  /// 0: all tokens.
  package var topK = 0
  package var minP: Float = 0
  /// nil: drawn at random per request. The token at output index i depends on (seed, i) and the logits only.
  package var seed: UInt64?
  package var repetitionPenalty: Float = 1
  package var presencePenalty: Float = 0
  package var frequencyPenalty: Float = 0
  package var logitBias: [Int32: Float] = [:]
  package var allowedTokenIDs: [Int32]?
  /// Output tokens at most.
  package var maxTokens = 16
  package var minTokens = 0
  package var ignoreEOS = false
  package var stopTokenIDs: Set<Int32> = []
  /// How many alternatives to report per token; nil: no log-probabilities at all.
  package var logprobs: Int?
  /// Token sequences that must not come (`bad_words`): the last token of each is barred where the others stand before it.
  package var badWords: [[Int32]] = []
  /// How many alternatives to report per token of the prompt; nil: none. Such a prompt is computed whole, because
  /// neither the prefix cache nor a handoff has its logits.
  package var promptLogprobs: Int?

  package init() {}
}
