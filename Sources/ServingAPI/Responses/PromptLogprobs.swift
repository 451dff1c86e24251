/// `prompt_logprobs`: how likely each token of a prompt was, and what was likelier.
package struct PromptLogprobs: Sendable, Equatable {
  package struct Candidate: Sendable, Equatable {
    package var id: Int32
    package var text: String
    package var logprob: Float
    /// Its place among all tokens by likelihood, from 1.
    package var rank: Int

    package init(id: Int32, text: String, logprob: Float, rank: Int) {
      self.id = id
      self.text = text
      self.logprob = logprob
      self.rank = rank
    }
  }

  /// For each of the prompt's tokens from the second on: the token itself, then the best.
  package var positions: [[Candidate]]

  package init(positions: [[Candidate]]) { self.positions = positions }

  /// The first token has none. A candidate that comes twice is one key.
  package var json: BodyValue {
    .array(
      [.null]
        + positions.map { candidates in
          var fields = BodyValue.Fields()
          for candidate in candidates where fields["\(candidate.id)"] == nil {
            fields.append(
              "\(candidate.id)",
              [
                "logprob": .number(Double(max(candidate.logprob, -9999))), "rank": BodyValue(candidate.rank),
                "decoded_token": .string(candidate.text),
              ])
          }
          return .object(fields)
        })
  }
}
