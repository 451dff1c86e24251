/// Prompt lookup: guesses that a sequence goes on as it did where its last few tokens stood before. What the model then
/// computes says how much of the guess was right, so the output is what it would have been; only the steps are fewer.
///
/// Source: vLLM's `--speculative-config` with method `ngram`; Saxena 2023, "Prompt lookup decoding".
package struct NGramSpeculation: Sendable, Equatable {
  /// Tokens guessed at a time, at most (`num_speculative_tokens`).
  package let draftTokens: Int
  /// How many last tokens are looked for, the longest first (`prompt_lookup_min` to `prompt_lookup_max`).
  package let lookup: ClosedRange<Int>

  /// - Precondition: `draftTokens` and the bounds of `lookup` are positive.
  package init(draftTokens: Int, lookup: ClosedRange<Int>) {
    precondition(draftTokens > 0 && lookup.lowerBound > 0)
    self.draftTokens = draftTokens
    self.lookup = lookup
  }

  /// What followed the longest of the last n-grams where it stood before; of several places, the latest.
  ///
  /// - Returns: At most `limit` tokens; none where no n-gram stands twice.
  package func draft(after tokens: [Int32], limit: Int) -> ArraySlice<Int32> {
    var best: (length: Int, end: Int)?
    tokens.withUnsafeBufferPointer { tokens in
      // `end`: behind a place where the last token stands.
      for end in stride(from: tokens.count - 1, to: 0, by: -1) where tokens[end - 1] == tokens[tokens.count - 1] {
        var length = 1
        while length < min(lookup.upperBound, end), tokens[end - 1 - length] == tokens[tokens.count - 1 - length] {
          length += 1
        }
        if length >= lookup.lowerBound, length > best?.length ?? 0 { best = (length, end) }
        if length == lookup.upperBound { break }
      }
    }
    guard let best, limit > 0 else { return [] }
    return tokens[best.end..<min(best.end + min(draftTokens, limit), tokens.count)]
  }
}
