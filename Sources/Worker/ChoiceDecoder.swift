import Engine
import ServingAPI
import Tokenization

/// What one token, or the end, adds to a choice.
struct ChoiceDelta: Sendable {
  var text = ""
  /// nil if the request asked for none.
  var logprobs: [TextLogprob]?
  var tokenIDs: [Int32] = []
  var toolCalls: [ToolCallDelta] = []
  var promptLogprobs: PromptLogprobs?
  var end: ChoiceEnd?

  /// This delta with `next` after it.
  func followed(by next: ChoiceDelta) -> ChoiceDelta {
    ChoiceDelta(
      text: text + next.text, logprobs: logprobs.map { $0 + (next.logprobs ?? []) },
      tokenIDs: tokenIDs + next.tokenIDs, toolCalls: toolCalls + next.toolCalls,
      promptLogprobs: promptLogprobs ?? next.promptLogprobs, end: next.end ?? end)
  }
}

/// Turns a choice's tokens into text, and cuts it at stop strings: a value, fed by whoever reads the engine's stream.
///
/// The only order: `resume` if the choice began elsewhere, `prompt` if it is scored, `accept` for every token, then
/// `finish`. After a delta with an `end`, only `finish` for its usage.
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
    /// The prompt's tokens come before the output's in the log-probabilities too.
    var echoesLogprobs = false
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

  /// - Parameters:
  ///   - scores: of the prompt's tokens from the second on.
  ///   - tokens: the prompt's.
  mutating func prompt(_ scores: [TokenLogprobs], tokens: [Int32]) -> ChoiceDelta {
    var delta = ChoiceDelta(logprobs: options.wantsLogprobs ? [] : nil)
    delta.promptLogprobs = PromptLogprobs(
      positions: zip(tokens.dropFirst(), scores).map { token, score in
        func scored(_ id: Int32, _ logprob: Float, _ rank: Int) -> PromptLogprobs.Candidate {
          PromptLogprobs.Candidate(id: id, text: tokenizer.shownText(of: id), logprob: logprob, rank: rank)
        }
        return [scored(token, score.logprob, score.rank)]
          + score.top.enumerated().map { scored($1.id, $1.logprob, $0 + 1) }
      })
    guard options.echoesLogprobs else { return delta }
    for (index, token) in tokens.enumerated() {
      delta.logprobs! += logprobs(of: token, index == 0 ? nil : scores[index - 1])
    }
    return delta
  }

  mutating func accept(_ token: GeneratedToken) -> ChoiceDelta {
    tokenCount += 1
    var delta = ChoiceDelta(tokenIDs: [token.id])
    if options.wantsLogprobs { delta.logprobs = token.logprobs.map { logprobs(of: token.id, $0) } ?? [] }
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

  /// - Parameter values: nil for a prompt's first token.
  private mutating func logprobs(of token: Int32, _ values: TokenLogprobs?) -> [TextLogprob] {
    let chosen = candidate(token, values?.logprob)
    defer { textOffset += chosen.token.unicodeScalars.count }
    let top = (values?.top ?? []).map { candidate($0.id, $0.logprob) }
    return [TextLogprob(chosen: chosen, top: top, textOffset: textOffset)]
  }

  private func candidate(_ id: Int32, _ logprob: Float?) -> TextLogprob.Candidate {
    guard tokenizer.isValid(id), !options.showsIDs else {
      let text = Tokenizer.name(of: id)
      return TextLogprob.Candidate(token: text, bytes: Array(text.utf8), logprob: logprob)
    }
    return TextLogprob.Candidate(token: tokenizer.text(of: id), bytes: tokenizer.bytes(of: id), logprob: logprob)
  }
}

extension Tokenizer {
  fileprivate static func name(of id: Int32) -> String { "token_id:\(id)" }

  /// A model may have more output rows than its tokenizer has tokens.
  fileprivate func shownText(of id: Int32) -> String { isValid(id) ? text(of: id) : Self.name(of: id) }
}
