/// Why the engine refused a request.
package enum EngineError: Error, Sendable, Equatable {
  case emptyPrompt
  /// `limit` is the longest prompt that leaves room for one token of output, if one is asked for.
  case promptTooLong(tokens: Int, limit: Int)
  /// The prompt fits the context, but not the KV pool, were it empty.
  case promptExceedsPool(tokens: Int, poolTokens: Int)
  case tokenOutOfVocabulary(token: Int32, position: Int, vocabularySize: Int)
  case queueFull(waiting: Int, limit: Int, retryAfter: Duration)
  case shuttingDown
}

extension EngineError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .emptyPrompt:
      "the prompt has no tokens. Send at least one."
    case .promptTooLong(let tokens, let limit):
      "the prompt has \(tokens) tokens, and this model takes at most \(limit). Shorten the prompt."
    case .promptExceedsPool(let tokens, let poolTokens):
      "the prompt has \(tokens) tokens, and the KV pool holds \(poolTokens). Shorten the prompt, or raise --num-kv-blocks."
    case .tokenOutOfVocabulary(let token, let position, let vocabularySize):
      "token \(token) at position \(position) is not in the vocabulary of \(vocabularySize) tokens. Tokenize with this model's tokenizer."
    case .queueFull(let waiting, let limit, let retryAfter):
      "\(waiting) requests are waiting, of at most \(limit). Try again in \(retryAfter), or add workers."
    case .shuttingDown:
      "this worker is shutting down. Send the request to another."
    }
  }
}
