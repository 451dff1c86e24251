import NIOCore
import ServingAPI

/// How a client's stream can go on on another decoder, when the one that it began on has failed.
package struct Continuation: Sendable {
  /// Why the rest is not what the first decoder would have said. On a worker of ours only `minTokens` can be.
  package enum Inexact: String, Sendable {
    /// The engine draws from the seed by the place in its own output.
    case seed
    /// They count the output, and the engine takes the earlier output for prompt.
    case penalties
    case logitProcessors = "logits_processors"
    /// A stop string may have begun among the first `min_tokens`, where it does not count.
    case minTokens = "min_tokens"
    /// A token in the log-probabilities is no whole text, so that its bytes are lost.
    case logprobs
  }

  private let body: ClientBody
  private let kind: TokenTrail.Kind
  /// Tokens that the client asked for at most; nil: as many as fit.
  private let maxTokens: Int?
  private let minTokens: Int
  /// Alternatives for each token; nil: no log-probabilities.
  let logprobs: Int?
  /// The engine holds text back that can become a stop string, and only the dead decoder knew it.
  let hasStop: Bool
  /// Whether ids that are made again are the same, and nobody sees that they are.
  let canRepeat: Bool
  let includesUsage: Bool
  private let inexactElsewhere: Inexact?

  /// - Returns: nil if the request cannot be continued: not a stream, several sequences, output that an engine parses or
  ///   constrains, or fields whose meaning is not known for sure.
  package init?(_ body: ClientBody, kind: TokenTrail.Kind) {
    guard body.isStreamed, !body.asksForSeveralSequences, !Self.refused.contains(where: body.asks(for:)) else {
      return nil
    }
    if body.asks(for: "response_format"), body.text(of: "type", in: "response_format") != "\"text\"" { return nil }
    if body.asks(for: "echo"), body.asks(for: "logprobs") { return nil }
    guard let maxTokens = Self.limit(body, kind), let minTokens = Self.number(body, "min_tokens", default: 0),
      let logprobs = Self.logprobs(body, kind)
    else { return nil }
    self.body = body
    self.kind = kind
    self.maxTokens = maxTokens
    self.minTokens = minTokens ?? 0
    self.logprobs = logprobs
    hasStop = body.asks(for: "stop")
    inexactElsewhere = Self.inexactElsewhere(body)
    canRepeat =
      Self.isGreedy(body) && inexactElsewhere == nil && logprobs == nil && !body.asks(for: "include_stop_str_in_output")
    includesUsage = body.text(of: "include_usage", in: "stream_options") == "true"
  }

  /// Whether one engine may make the first token, and another go on behind it as if it had made that one too.
  static func canFollowFirstToken(of body: ClientBody) -> Bool {
    let kind = body.text(of: "messages") == nil ? TokenTrail.Kind.completions : .chat
    guard let continuation = Continuation(body, kind: kind), !body.asks(for: "echo") else { return false }
    return !continuation.hasStop && continuation.logprobs == nil && continuation.maxTokens.map { $0 > 1 } ?? true
  }

  /// What the decoder is asked for besides, so that it can be followed.
  static let asking: [JSONEdit] = [.set("return_token_ids", "true")]

  /// - Parameter isOurs: The worker goes on after `xpyd_output_tokens` as if it had made them.
  package func inexact(isOurs: Bool, after trail: TokenTrail) -> Inexact? {
    if !isOurs, let inexactElsewhere { return inexactElsewhere }
    return hasStop && minTokens > 0 && minTokens <= trail.outputIDs.count ? .minTokens : nil
  }

  /// Characters that an engine which knows nothing of ours holds back at the end of the text; nil without stop strings.
  static func heldBack(for body: ClientBody) -> Int? {
    let lengths = body.withValue(of: "stop") { value in
      let elements = (try? JSONArray(scanning: value))?.elements
      return (elements ?? [0..<value.count]).map { value.scalars(inStringAt: $0.lowerBound).count }
    }
    return lengths?.max().map { max($0 - 1, 0) }
  }

  /// The request for the rest, to `/v1/completions`.
  /// - Parameter tellsEarlier: A worker of ours is to go on as if it had made the earlier output.
  /// - Returns: nil if there is nothing left to ask for, or the trail is not whole.
  package func body(after trail: TokenTrail, tellsEarlier: Bool = true) -> ByteBuffer? {
    let earlier = trail.outputIDs.count
    guard trail.canBeFollowed, !trail.isFinished, earlier < maxTokens ?? .max else { return nil }
    var edits: [JSONEdit] = [
      .set("prompt", Self.json(trail.promptIDs, trail.outputIDs)),
      .set("max_tokens", maxTokens.map { "\($0 - earlier)" } ?? "null"),
      .replace("min_tokens", "\(max(0, minTokens - earlier))"),
    ]
    if earlier > 0, tellsEarlier { edits.append(.set("xpyd_output_tokens", "\(earlier)")) }
    if kind == .chat { edits += logprobs.map { [.set("logprobs", "\($0)")] } ?? [.remove("logprobs")] }
    edits += Self.leftOut.map { .remove($0) } + Self.asking
    return body.edited(edits)
  }

  // MARK: The client's body

  /// Fields whose engine keeps a state that ids do not tell, unless they ask for nothing.
  private static let refused = [
    "tools", "functions", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    "prompt_logprobs", "prompt_embeds", "suffix", "thinking_token_budget", "stream_interval",
  ]
  /// Of the prompt that is ids now, of chats, or of the handoff.
  private static let leftOut =
    [
      "messages", "max_completion_tokens", "top_logprobs", "add_generation_prompt", "continue_final_message",
      "add_special_tokens", "chat_template", "chat_template_kwargs", "documents", "tool_choice", "parallel_tool_calls",
      "response_format", "reasoning_effort", "include_reasoning", "echo", "truncate_prompt_tokens", "truncation_side",
    ] + ClientBody.handoffFields

  private static func limit(_ body: ClientBody, _ kind: TokenTrail.Kind) -> Int?? {
    if kind == .completions, body.text(of: "max_tokens") == nil { return .some(16) }
    if kind == .chat, let value = body.text(of: "max_completion_tokens"), value != "null" { return Int(value) }
    return number(body, "max_tokens", default: nil)
  }

  /// - Returns: nil if there is a value that is no number, `.some(nil)` if there is none.
  private static func number(_ body: ClientBody, _ name: String, default standard: Int?) -> Int?? {
    guard let value = body.text(of: name), value != "null" else { return .some(standard) }
    return Int(value).map { .some($0) }
  }

  private static func logprobs(_ body: ClientBody, _ kind: TokenTrail.Kind) -> Int?? {
    guard kind == .chat else { return number(body, "logprobs", default: nil) }
    return body.text(of: "logprobs") == "true" ? number(body, "top_logprobs", default: 0) : .some(nil)
  }

  private static func inexactElsewhere(_ body: ClientBody) -> Inexact? {
    if body.asks(for: "presence_penalty") || body.asks(for: "frequency_penalty") { return .penalties }
    if ["bad_words", "logits_processors", "vllm_xargs"].contains(where: body.asks(for:)) { return .logitProcessors }
    return !isGreedy(body) && ![nil, "null", "-1"].contains(body.text(of: "seed")) ? .seed : nil
  }

  private static func isGreedy(_ body: ClientBody) -> Bool {
    body.text(of: "temperature").flatMap(Double.init) == 0
  }

  private static func json(_ prompt: [Int32], _ output: [Int32]) -> [UInt8] {
    var text: [UInt8] = [UInt8(ascii: "[")]
    text.reserveCapacity(6 * (prompt.count + output.count) + 2)
    for ids in [prompt, output] {
      for id in ids {
        if text.count > 1 { text.append(UInt8(ascii: ",")) }
        text += String(id).utf8
      }
    }
    text.append(UInt8(ascii: "]"))
    return text
  }
}
