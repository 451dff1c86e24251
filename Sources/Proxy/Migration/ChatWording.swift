import ServingAPI

/// A completion's choice as a chat's: the continuation of a chat is a completion, because only that takes token ids.
struct ChatWording: Sendable {
  /// How many alternatives the client asked for; nil: no log-probabilities.
  let alternatives: Int?

  /// All arguments are JSON texts.
  static func choice(text: [UInt8], logprobs: [UInt8], finish: [UInt8], stop: [UInt8], ids: [UInt8]) -> [UInt8] {
    var out = Array("{\"index\":0,\"delta\":{\"content\":".utf8)
    out += text
    out += "},\"logprobs\":".utf8
    out += logprobs
    out += ",\"finish_reason\":".utf8
    out += finish
    if finish.first == UInt8(ascii: "\"") {
      out += ",\"stop_reason\":".utf8
      out += stop
    }
    out += ",\"token_ids\":".utf8
    out += ids
    out += "}".utf8
    return out
  }

  /// From four parallel lists to a list of tokens.
  /// - Returns: Whether a token's bytes are lost: a completion has tokens as text only.
  func logprobs(_ lists: BodyValue) -> (value: BodyValue, isLossy: Bool) {
    guard let alternatives, let tokens = lists["tokens"]?.arrayValue, let values = lists["token_logprobs"]?.arrayValue
    else { return (.null, false) }
    let tops = lists["top_logprobs"]?.arrayValue ?? []
    var isLossy = false
    var content: [BodyValue] = []
    for (index, (token, value)) in zip(tokens, values).enumerated() {
      guard case .object(var fields) = Self.candidate(token.stringValue ?? "", value, &isLossy) else { continue }
      var top: [BodyValue] = []
      if alternatives > 0, index < tops.count, case .object(let members) = tops[index] {
        let best = members.members.sorted { Self.number($0.value) > Self.number($1.value) }.prefix(alternatives)
        top = best.map { Self.candidate($0.key, $0.value, &isLossy) }
      }
      fields["top_logprobs"] = .array(top)
      content.append(.object(fields))
    }
    return (["content": .array(content)], isLossy)
  }

  private static func candidate(_ token: String, _ logprob: BodyValue, _ isLossy: inout Bool) -> BodyValue {
    if token.unicodeScalars.contains("\u{FFFD}") { isLossy = true }
    return [
      "token": .string(token), "logprob": logprob, "bytes": .array(token.utf8.map { .integer(Int64($0)) }),
    ]
  }

  private static func number(_ value: BodyValue) -> Double {
    switch value {
    case .number(let number): number
    case .integer(let integer): Double(integer)
    default: -.infinity
    }
  }
}
