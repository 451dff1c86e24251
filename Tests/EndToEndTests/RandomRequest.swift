import ServingAPI
import TestSupport

/// A request that dice make of the whole field space: most are answered, some are refused.
struct RandomRequest: Sendable {
  var path: String
  var body: BodyValue

  private static let words = [
    "the", " sea", "in", "on", " other", "héllo", "<|im_start|>", "日本", "\n", "a b c", "ther",
  ]

  init(using dice: inout SplitMix64) {
    let isChat = Int.random(in: 0..<10, using: &dice) < 4
    var fields = BodyValue.Fields()
    fields["model"] = "tiny"
    path = isChat ? "/v1/chat/completions" : "/v1/completions"
    let temperature = Bool.random(using: &dice) ? 0 : Double.random(in: 0.2...1.5, using: &dice)
    fields["temperature"] = .number(temperature)
    if temperature > 0 { fields["seed"] = BodyValue(Int.random(in: 0...999, using: &dice)) }
    let streams = Int.random(in: 0..<3, using: &dice) == 0
    if streams { Self.addStreaming(to: &fields, &dice) }
    if isChat {
      Self.addChat(to: &fields, streams: streams, &dice)
    } else {
      Self.addPrompt(to: &fields, streams: streams, &dice)
    }
    if temperature > 0, Self.chance(8, &dice) { fields["n"] = 2 }
    Self.addSampling(to: &fields, &dice)
    Self.addEnds(to: &fields, &dice)
    Self.addWording(to: &fields, &dice)
    if fields["tools"] == nil, Self.chance(5, &dice) { Self.addConstraint(to: &fields, &dice) }
    body = .object(fields)
  }

  /// One of `/v1/responses` or `/v1/messages`.
  init(ofBlocksUsing dice: inout SplitMix64) {
    let isMessage = Bool.random(using: &dice)
    path = isMessage ? "/v1/messages" : "/v1/responses"
    var fields = BodyValue.Fields()
    fields["model"] = "tiny"
    fields["temperature"] = 0
    let limit = BodyValue(Int.random(in: 1...12, using: &dice))
    fields[isMessage ? "max_tokens" : "max_output_tokens"] = limit
    let said: BodyValue = [["role": "user", "content": .string(Self.text(&dice))]]
    fields[isMessage ? "messages" : "input"] = said
    if Self.chance(3, &dice) { fields[isMessage ? "system" : "instructions"] = .string(Self.text(&dice)) }
    if Self.chance(2, &dice) { fields["stream"] = true }
    if Self.chance(4, &dice) { fields[isMessage ? "stop_sequences" : "stop"] = ["e", "t"] }
    if Self.chance(4, &dice) { fields["top_k"] = 7 }
    if Self.chance(8, &dice) { fields[isMessage ? "thinking" : "reasoning"] = ["type": "enabled", "effort": "low"] }
    if !isMessage { Self.addResponseFields(to: &fields, &dice) }
    if fields["text"] == nil, Self.chance(3, &dice) { Self.addBlockTools(to: &fields, isMessage: isMessage, &dice) }
    body = .object(fields)
  }

  private static func addBlockTools(
    to fields: inout BodyValue.Fields, isMessage: Bool, _ dice: inout SplitMix64
  ) {
    let schema: BodyValue = ["type": "object", "properties": ["on": ["type": "boolean"]], "required": ["on"]]
    fields["tools"] =
      isMessage
      ? [["name": "switch", "input_schema": schema]]
      : [["type": "function", "name": "switch", "parameters": schema]]
    fields["tool_choice"] = isMessage ? ["type": "any"] : "required"
    fields[isMessage ? "max_tokens" : "max_output_tokens"] = BodyValue(Int.random(in: 2...60, using: &dice))
  }

  private static func addResponseFields(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    if chance(3, &dice) {
      fields["temperature"] = .number(.random(in: 0.2...1.5, using: &dice))
      fields["seed"] = BodyValue(Int.random(in: 0...999, using: &dice))
      fields["top_p"] = .number(.random(in: 0.3...1, using: &dice))
    }
    if chance(3, &dice) { fields["metadata"] = ["a": "b"] }
    if chance(4, &dice) {
      let schema: BodyValue = ["type": "object", "properties": ["n": ["type": "integer"]], "required": ["n"]]
      fields["text"] = ["format": ["type": "json_schema", "name": "s", "schema": schema]]
    }
  }

  /// One of `/v1/embeddings`.
  init(ofEmbeddingsUsing dice: inout SplitMix64) {
    path = "/v1/embeddings"
    var fields = BodyValue.Fields()
    let inputs: [BodyValue] = [
      .string(Self.text(&dice)), [.string(Self.text(&dice)), .string(Self.text(&dice))], Self.ids(30, &dice),
      [Self.ids(3, &dice), Self.ids(90, &dice), Self.ids(1, &dice)],
    ]
    fields["input"] = inputs.randomElement(using: &dice)!
    if Self.chance(2, &dice) { fields["model"] = "tiny" }
    if Self.chance(3, &dice) { fields["encoding_format"] = ["float", "base64"].randomElement(using: &dice) }
    if Self.chance(3, &dice) { fields["use_activation"] = .bool(Bool.random(using: &dice)) }
    if Self.chance(6, &dice) { fields["add_special_tokens"] = false }
    if Self.chance(10, &dice) { fields["dimensions"] = 16 }
    Self.addWording(to: &fields, &dice)
    body = .object(fields)
  }

  private static func chance(_ of: Int, _ dice: inout SplitMix64) -> Bool { Int.random(in: 0..<of, using: &dice) == 0 }

  private static func text(_ dice: inout SplitMix64) -> String {
    (0..<Int.random(in: 1...30, using: &dice)).map { _ in words.randomElement(using: &dice)! }.joined()
  }

  private static func ids(_ count: Int, _ dice: inout SplitMix64) -> BodyValue {
    BodyValue((0..<count).map { _ in Int32.random(in: 0..<265, using: &dice) })
  }

  private static func addStreaming(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    fields["stream"] = true
    guard Bool.random(using: &dice) else { return }
    fields["stream_options"] = [
      "include_usage": true, "continuous_usage_stats": .bool(Bool.random(using: &dice)),
    ]
  }

  private static func addPrompt(to fields: inout BodyValue.Fields, streams: Bool, _ dice: inout SplitMix64) {
    fields["max_tokens"] = BodyValue(Int.random(in: 1...10, using: &dice))
    switch Int.random(in: 0..<8, using: &dice) {
    case 0: fields["prompt"] = [.string(text(&dice)), .string(text(&dice))]
    case 1: fields["prompt"] = [ids(5, &dice), ids(40, &dice)]
    case 2, 3: fields["prompt"] = ids(Int.random(in: 1...60, using: &dice), &dice)
    default: fields["prompt"] = .string(text(&dice))
    }
    if chance(3, &dice) { fields["logprobs"] = BodyValue(Int.random(in: 0...4, using: &dice)) }
    if chance(4, &dice) {
      fields["echo"] = true
      if chance(3, &dice) { fields["max_tokens"] = 0 }
    }
    if !streams, chance(6, &dice) { fields["prompt_logprobs"] = BodyValue(Int.random(in: 0...3, using: &dice)) }
    if chance(12, &dice) { fields["suffix"] = "x" }
    if chance(10, &dice) { fields["add_special_tokens"] = false }
  }

  private static func addChat(to fields: inout BodyValue.Fields, streams: Bool, _ dice: inout SplitMix64) {
    fields["max_completion_tokens"] = BodyValue(Int.random(in: 1...10, using: &dice))
    var messages: [BodyValue] = [["role": "user", "content": .string(text(&dice))]]
    if chance(4, &dice) {
      messages.append(["role": "assistant", "content": .string("x" + text(&dice) + "y")])
      fields["continue_final_message"] = true
      fields["add_generation_prompt"] = false
      if chance(2, &dice) { fields["echo"] = true }
    }
    fields["messages"] = .array(messages)
    if chance(3, &dice) {
      fields["logprobs"] = true
      fields["top_logprobs"] = BodyValue(Int.random(in: 0...4, using: &dice))
    }
    if !streams, chance(8, &dice) { fields["prompt_logprobs"] = 1 }
    if chance(4, &dice) { addTools(to: &fields, &dice) }
  }

  private static func addTools(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    let parameters: BodyValue = [
      "type": "object", "properties": ["on": ["type": "boolean"], "level": ["type": "integer", "maximum": 99]],
      "required": ["on"],
    ]
    fields["tools"] = [["type": "function", "function": ["name": "switch", "parameters": parameters]]]
    fields["max_completion_tokens"] = BodyValue(Int.random(in: 1...60, using: &dice))
    let choices: [BodyValue] = [
      "none", "auto", "required", ["type": "function", "function": ["name": "switch"]],
    ]
    fields["tool_choice"] = choices.randomElement(using: &dice)!
    if chance(3, &dice) { fields["parallel_tool_calls"] = false }
  }

  private static func addSampling(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    let values: [(String, BodyValue)] = [
      ("top_p", .number(.random(in: 0.1...1, using: &dice))),
      ("top_k", BodyValue(Int.random(in: -1...40, using: &dice))),
      ("min_p", .number(.random(in: 0...0.4, using: &dice))),
      ("repetition_penalty", .number(.random(in: 0.8...1.5, using: &dice))),
      ("presence_penalty", .number(.random(in: -2...2, using: &dice))),
      ("frequency_penalty", .number(.random(in: -2...2, using: &dice))),
      ("logit_bias", ["70": 5, "80": -100, "264": 3]), ("allowed_token_ids", [68, 69, 70, 100, 259]),
      ("bad_words", ["a", "the", " in"]), ("logit_bias", ["9999": 1]), ("priority", 3), ("best_of", 2),
    ]
    for (name, value) in values where chance(name == "priority" || name == "best_of" ? 60 : 12, &dice) {
      fields[name] = value
    }
  }

  private static func addEnds(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    if chance(5, &dice) { fields["stop"] = [["\u{FFFD}"], ["e", "t"], ["the ", "\n"]].randomElement(using: &dice) }
    if chance(8, &dice) { fields["stop_token_ids"] = [70, 120, 200] }
    if chance(6, &dice) { fields["include_stop_str_in_output"] = true }
    if chance(6, &dice) { fields["ignore_eos"] = true }
    if chance(6, &dice) { fields["min_tokens"] = BodyValue(Int.random(in: 0...3, using: &dice)) }
  }

  private static func addWording(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    for name in ["return_token_ids", "return_tokens_as_token_ids"] where chance(4, &dice) { fields[name] = true }
    if chance(8, &dice) { fields["skip_special_tokens"] = false }
    if chance(6, &dice) {
      fields["truncate_prompt_tokens"] = BodyValue([-1, 3, 17].randomElement(using: &dice)!)
      if Bool.random(using: &dice) { fields["truncation_side"] = "right" }
    }
    if chance(6, &dice) { fields["cache_salt"] = "tenant" }
    if chance(6, &dice) { fields["user"] = "somebody" }
  }

  private static func addConstraint(to fields: inout BodyValue.Fields, _ dice: inout SplitMix64) {
    let schema: BodyValue = [
      "type": "object", "properties": ["name": ["type": "string", "maxLength": 5], "n": ["type": "integer"]],
      "required": ["name"],
    ]
    let constraints: [(String, BodyValue)] = [
      ("response_format", ["type": "json_object"]),
      ("response_format", ["type": "json_schema", "json_schema": ["name": "s", "schema": schema]]),
      ("structured_outputs", ["choice": ["yes", "no", "the other"]]),
      ("structured_outputs", ["regex": "[a-z]{2,6} \\d+"]),
      ("structured_outputs", ["grammar": "root ::= \"a\" root | \"b\""]), ("guided_json", schema),
      ("structured_outputs", ["json": ["type": "array", "uniqueItems": true]]),
    ]
    let (name, value) = constraints.randomElement(using: &dice)!
    fields[name] = value
  }
}
