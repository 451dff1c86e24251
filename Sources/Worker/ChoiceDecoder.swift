import Engine
import ServingAPI
import Tokenization

/// What one token, or the end, adds to a choice.
struct ChoiceDelta: Sendable {
  var text = ""
  /// nil if the request asked for none.
  var logprobs: [TextLogprob]?
  var tokenIDs: [Int32] = []
  var end: ChoiceEnd?

  /// This delta with `next` after it.
  func followed(by next: ChoiceDelta) -> ChoiceDelta {
    ChoiceDelta(
      text: text + next.text, logprobs: logprobs.map { $0 + (next.logprobs ?? []) },
      tokenIDs: tokenIDs + next.tokenIDs, end: next.end ?? end)
  }
}

/// Turns a choice's tokens into text, and cuts it at stop strings: a value, fed by whoever reads the engine's stream.
///
/// The only order: `resume` if the choice began elsewhere, `accept` for every token, then `finish`. After a delta with an `end`, only `finish` for its usage.
struct ChoiceDecoder: Sendable {
  struct Options: Sendable {
    var maxTokens: Int
    var minTokens = 0
    var stop: [String] = []
    var includesStop = false
    var skipsSpecial = true
    var wantsLogprobs = false
    /// Tokens in log-probabilities read `token_id:42`.
    var showsIDs = false
  }

  private let options: Options
  private let tokenizer: Tokenizer
  private var detokenizer: StreamingDetokenizer
  private var matcher: StopStringMatcher
  private var textOffset = 0
  private(set) var tokenCount = 0

  init(tokenizer: Tokenizer, options: Options) {
    self.options = options
    self.tokenizer = tokenizer
    detokenizer = StreamingDetokenizer(tokenizer, skipSpecial: options.skipsSpecial)
    matcher = StopStringMatcher(options.stop, includeInOutput: options.includesStop)
  }

  /// Takes in the tokens that another decoder of this choice has accepted: text that it still held back comes with the
  /// next one, what it gave out does not. `minTokens` counts from here.
  mutating func resume(after tokens: some Sequence<Int32>) {
    for token in tokens {
      if options.wantsLogprobs { textOffset += candidate(token, 0).token.unicodeScalars.count }
      let piece = detokenizer.append(token)
      guard options.minTokens == 0 else { continue }
      // A stop string that is whole here ended within the `min_tokens` of before and did not count.
      if matcher.append(piece).matched != nil {
        matcher = StopStringMatcher(options.stop, includeInOutput: options.includesStop)
      }
    }
  }

  mutating func accept(_ token: GeneratedToken) -> ChoiceDelta {
    tokenCount += 1
    var delta = ChoiceDelta(tokenIDs: [token.id])
    if options.wantsLogprobs { delta.logprobs = logprobs(of: token) }
    guard !token.isStop || options.includesStop else { return delta }
    let piece = detokenizer.append(token.id)
    // As vLLM: a stop string that ends within the first `min_tokens` tokens does not count.
    guard tokenCount > options.minTokens || options.stop.isEmpty else {
      delta.text = piece
      return delta
    }
    let output = matcher.append(piece)
    delta.text = output.text
    if let matched = output.matched { delta.end = ChoiceEnd(.stop, stopReason: .string(matched)) }
    return delta
  }

  /// The text that was still held back, and why the choice ended.
  /// - Parameter eosTokenIDs: ending at one of these is the model's own wish and has no `stop_reason`.
  mutating func finish(_ reason: ChoiceEnd) -> ChoiceDelta {
    var delta = ChoiceDelta(logprobs: options.wantsLogprobs ? [] : nil, end: reason)
    let output = matcher.append(detokenizer.finish())
    delta.text = output.text + matcher.finish()
    if let matched = output.matched { delta.end = ChoiceEnd(.stop, stopReason: .string(matched)) }
    return delta
  }

  private mutating func logprobs(of token: GeneratedToken) -> [TextLogprob] {
    guard let values = token.logprobs else { return [] }
    let chosen = candidate(token.id, values.logprob)
    defer { textOffset += chosen.token.unicodeScalars.count }
    return [
      TextLogprob(chosen: chosen, top: values.top.map { candidate($0.id, $0.logprob) }, textOffset: textOffset)
    ]
  }

  private func candidate(_ id: Int32, _ logprob: Float) -> TextLogprob.Candidate {
    // A model may have more output rows than its tokenizer has tokens.
    guard tokenizer.isValid(id), !options.showsIDs else {
      let text = "token_id:\(id)"
      return TextLogprob.Candidate(token: text, bytes: Array(text.utf8), logprob: logprob)
    }
    return TextLogprob.Candidate(token: tokenizer.text(of: id), bytes: tokenizer.bytes(of: id), logprob: logprob)
  }
}
