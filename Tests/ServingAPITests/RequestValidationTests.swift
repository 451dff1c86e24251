import Testing

import ServingAPI

struct RequestValidationTests {
  private func fields(_ json: String) throws -> BodyValue.Fields {
    try RequestBody.parse(Array(json.utf8), contentType: "application/json; charset=utf-8")
  }

  private func completion(_ more: String) throws -> CompletionRequest {
    try CompletionRequest(try fields(#"{"prompt":"a"\#(more.isEmpty ? "" : ",")\#(more)}"#))
  }

  private func chat(_ more: String) throws -> ChatCompletionRequest {
    try ChatCompletionRequest(
      try fields(#"{"messages":[{"role":"user","content":"a"}]\#(more.isEmpty ? "" : ",")\#(more)}"#))
  }

  @Test(arguments: [
    (#""x""#, [CompletionRequest.Prompt.text("x")]),
    (#"["x","y"]"#, [.text("x"), .text("y")]),
    ("[1,2]", [.tokens([1, 2])]),
    ("[[1],[2,3]]", [.tokens([1]), .tokens([2, 3])]),
  ])
  func `A prompt is a string, strings, ids or lists of ids`(
    json: String, prompts: [CompletionRequest.Prompt]
  ) throws {
    #expect(try CompletionRequest(try fields(#"{"prompt":\#(json)}"#)).prompts == prompts)
  }

  @Test(arguments: [
    (#"{"a":1}"#, "body.prompt"), ("7", "body.prompt"), (#"["x",1]"#, "body.prompt.1"), ("[1,-1]", "body.prompt.1"),
    ("[1,99999999999]", "body.prompt.1"), ("[[1],2]", "body.prompt.1"), ("[[1],[1.5]]", "body.prompt.1.0"),
    ("[]", "prompt"), ("[[]]", "prompt"), (#"[""]"#, "prompt"), ("null", "prompt"),
  ])
  func `Another prompt is a 400 that names it`(json: String, param: String) throws {
    let error = try #require(throws: APIError.self) { try CompletionRequest(fields(#"{"prompt":\#(json)}"#)) }
    #expect(error.status == 400)
    #expect(error.param == param)
  }

  @Test(arguments: [
    (#""max_tokens":"8""#, 8), (#""max_tokens":8.0"#, 8), (#""max_tokens":null"#, nil), ("", nil),
  ])
  func `Numbers are read as leniently as pydantic reads them`(json: String, maxTokens: Int?) throws {
    #expect(try completion(json).sampling.maxTokens == maxTokens)
  }

  @Test(arguments: [
    (#""max_tokens":8.5"#, "int_from_float"), (#""max_tokens":[]"#, "int_type"),
    (#""temperature":"hot""#, "float_parsing"),
    (#""temperature":{}"#, "float_type"), (#""stream":"maybe""#, "bool_parsing"), (#""stream":[]"#, "bool_type"),
    (#""model":5"#, "string_type"), (#""stop":[1]"#, "string_type"), (#""stop":5"#, "list_type"),
    (#""logit_bias":[]"#, "dict_type"), (#""logit_bias":{"a":1}"#, "int_parsing"), (#""seed":9e30"#, "int_from_float"),
    (#""kv_transfer_params":"yes""#, "dict_type"), (#""stream_options":[]"#, "dict_type"),
  ])
  func `A value of the wrong type is a finding of pydantic's name`(json: String, kind: String) throws {
    let error = try #require(throws: APIError.self) { try completion(json) }
    #expect(error.status == 400)
    #expect(error.message.contains("'type': '\(kind)'"))
  }

  @Test(arguments: [
    #""add_generation_prompt":"maybe""#, #""continue_final_message":[]"#, #""chat_template_kwargs":1"#,
    #""documents":{}"#,
  ])
  func `What to tokenize is read whole, a prompt beside a chat's fields too`(json: String) throws {
    for input in [#""prompt":"a""#, #""messages":[{"role":"user","content":"a"}]"#] {
      _ = try TokenizeRequest(fields("{\(input)}"))
      let error = try #require(throws: APIError.self) { try TokenizeRequest(fields("{\(input),\(json)}")) }
      #expect(error.status == 400 && error.message.hasPrefix("1 validation error:"))
    }
  }

  @Test func `All findings are told at once`() throws {
    let error = try #require(throws: APIError.self) { try completion(#""max_tokens":"ten","top_p":"x""#) }
    #expect(error.message.hasPrefix("2 validation errors:\n"))
  }

  @Test func `Of very many findings the first are told and the rest counted`() throws {
    let keys = (0..<5000).map { #""x\#($0)":1"# }.joined(separator: ",")
    let error = try #require(throws: APIError.self) { try completion(#""logit_bias":{\#(keys)}"#) }
    #expect(error.message.hasPrefix("5000 validation errors:\n"))
    #expect(error.message.hasSuffix("\n  and 4984 more"))
    #expect(error.message.count(where: \.isNewline) == 17)
  }

  @Test func `A finding echoes only the beginning of a long key`() throws {
    let key = String(repeating: "1", count: 100_000)
    let error = try #require(throws: APIError.self) { try completion(#""logit_bias":{"\#(key)":[]}"#) }
    #expect(error.message.utf8.count < 500)
  }

  @Test func `As many stop strings as vLLM's users send are taken, a flood of them is not`() throws {
    func check(_ stop: [String]) throws {
      let list = stop.map { "\"\($0)\"" }.joined(separator: ",")
      try completion(#""stop":[\#(list)]"#).sampling.validate(contextLength: 64, vocabularySize: 100)
    }
    try check((0..<128).map { "s\($0)" })
    for flood in [(0..<129).map { "s\($0)" }, [String(repeating: "s", count: 16_385)]] {
      let error = try #require(throws: APIError.self) { try check(flood) }
      #expect(error.status == 400 && error.param == "stop")
      #expect(error.message.contains("\(flood.count) strings") && error.message.contains("128"))
    }
  }

  @Test(arguments: [("", 16 as Int?), (#""max_tokens":null"#, nil)])
  func `Without max_tokens a completion has 16 tokens, with null as many as fit`(json: String, limit: Int?) throws {
    let request = try completion(json)
    #expect(request.sampling.maxTokens == nil)
    #expect(request.defaultMaxTokens == limit)
  }

  @Test(arguments: [(#""seed":-1"#, nil), (#""seed":-2"#, -2 as Int64?), (#""seed":null"#, nil), (#""seed":0"#, 0)])
  func `The seed -1 is none`(json: String, seed: Int64?) throws {
    #expect(try completion(json).sampling.seed == seed)
  }

  @Test(arguments: [
    (#""n":0"#, "n"), (#""n":129"#, "n"), (#""n":2,"temperature":0"#, "n"), (#""top_k":-2"#, "top_k"),
    (#""min_p":1.5"#, "min_p"), (#""repetition_penalty":0"#, "repetition_penalty"),
    (#""presence_penalty":3"#, "presence_penalty"), (#""frequency_penalty":-3"#, "frequency_penalty"),
    (#""min_tokens":-1"#, "min_tokens"), (#""min_tokens":9,"max_tokens":8"#, "min_tokens"), (#""stop":"""#, "stop"),
    (#""stop_token_ids":[100]"#, "stop_token_ids"), (#""logit_bias":{"100":1}"#, "logit_bias"),
    (#""allowed_token_ids":[]"#, "allowed_token_ids"), (#""top_p":0"#, "top_p"),
  ])
  func `A sampling value out of range is a 400 that names it`(json: String, param: String) throws {
    let request = try completion(json)
    let error = try #require(throws: APIError.self) {
      try request.sampling.validate(contextLength: 64, vocabularySize: 100)
    }
    #expect(error.status == 400)
    #expect(error.param == param)
  }

  @Test(arguments: [
    (#""suffix":"x""#, "suffix"), (#""use_beam_search":true"#, "use_beam_search"), (#""best_of":2"#, "best_of"),
    (#""length_penalty":2.5"#, "length_penalty"), (#""priority":3"#, "priority"),
    (#""logprob_token_ids":[1]"#, "logprob_token_ids"),
    (#""response_format":{"type":"structural_tag"}"#, "response_format"),
    (#""logits_processors":["x"]"#, "logits_processors"),
    (#""structured_outputs":{"structural_tag":"x"}"#, "structured_outputs.structural_tag"),
    (#""guided_whitespace_pattern":" ""#, "guided_whitespace_pattern"),
  ])
  func `A known field that is not served is a 400 that names it`(json: String, param: String) throws {
    let error = try #require(throws: APIError.self) { try completion(json) }
    #expect(error.status == 400)
    #expect(error.param == param)
    #expect(error.message.contains(param))
  }

  @Test(arguments: [
    #""suffix":null,"use_beam_search":false,"best_of":1,"bad_words":[],"priority":0,"user":"u""#,
    #""response_format":{"type":"text"},"length_penalty":1.0,"spaces_between_special_tokens":true"#,
    #""no_such_field":{"a":[1]},"suffix":"""#,
  ])
  func `Defaults of such fields, and fields that nobody knows, are accepted`(json: String) throws {
    _ = try completion(json)
  }

  @Test(arguments: [
    (#""tools":[{"type":"function"}]"#, "tools"), (#""tool_choice":"required""#, "tool_choice"),
    (#""tools":[{"function":{"name":"f"}}],"tool_choice":{"function":{"name":"g"}}"#, "tool_choice"),
    (#""tools":[{"function":{"name":"f"}}],"tool_choice":"required","guided_regex":"a""#, "guided_regex"),
    (#""prompt_logprobs":1,"stream":true"#, "prompt_logprobs"),
    (#""top_logprobs":2"#, "top_logprobs"), (#""logprobs":true,"top_logprobs":-1"#, "top_logprobs"),
    (#""continue_final_message":true"#, "continue_final_message"),
  ])
  func `A chat field that cannot be served is a 400 that names it`(json: String, param: String) throws {
    let error = try #require(throws: APIError.self) { try chat(json) }
    #expect(error.status == 400)
    #expect(error.param == param)
  }

  @Test(arguments: [
    (#""response_format":{"type":"json_object"}"#, OutputConstraint.Kind.jsonObject),
    (
      #""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a":1}}}"#, .jsonSchema(#"{"a":1}"#)
    ),
    (#""structured_outputs":{"json":"{\"a\":1}"}"#, .jsonSchema(#"{"a":1}"#)),
    (#""structured_outputs":{"choice":["a","b"],"regex":null}"#, .choice(["a", "b"])),
    (#""structured_outputs":{"json_object":true}"#, .jsonObject), (#""guided_regex":"a+""#, .regex("a+")),
    (#""structured_outputs":{"grammar":"root ::= \"a\""}"#, .grammar(#"root ::= "a""#)),
  ])
  func `An output's constraint has one form, whichever field asks for it`(json: String, kind: OutputConstraint.Kind)
    throws
  {
    #expect(try completion(json).sampling.constraint?.kind == kind)
    #expect(try chat(json).sampling.constraint?.kind == kind)
  }

  @Test(arguments: [
    #""structured_outputs":{"choice":["a"],"regex":"a"}"#,
    #""guided_choice":["a"],"response_format":{"type":"json_object"}"#,
    #""response_format":{"type":"json_schema"}"#,
  ])
  func `Two constraints, or none where one is named, are a 400`(json: String) {
    #expect(throws: APIError.self) { try completion(json) }
  }

  @Test func `echo with max_tokens 0 wants the prompt only`() throws {
    let request = try completion(#""echo":true,"max_tokens":0,"logprobs":2"#)
    #expect(request.isEchoOnly && request.sampling.promptLogprobs == 2 && request.sampling.maxTokens == 1)
  }

  @Test func `A tool that must be called makes the grammar of its arguments`() throws {
    let tools =
      #""tools":[{"type":"function","function":{"name":"f","parameters":{"$defs":{"T":{}},"properties":{}}}}]"#
    let named = try chat(tools + #","tool_choice":{"type":"function","function":{"name":"f"}}"#)
    #expect(named.sampling.constraint?.kind == .jsonSchema(#"{"$defs":{"T":{}},"properties":{},"type":"object"}"#))
    guard case .jsonSchema(let text)? = try chat(tools + #","tool_choice":"required""#).sampling.constraint?.kind else {
      Issue.record("no schema")
      return
    }
    #expect(text.contains(#""const":"f""#) && text.hasSuffix(#""$defs":{"T":{}}}"#))
    #expect(try chat(tools).sampling.constraint == nil && chat(tools).tools?.choice == .auto)
  }

  @Test func `A call's arguments reach the template as a value`() throws {
    let call = #"{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}"#
    let request = try ChatCompletionRequest(
      fields(#"{"messages":[{"role":"assistant","content":null,"tool_calls":[\#(call)]}]}"#))
    #expect(request.messages[0]["tool_calls"]?.arrayValue?.first?["function"]?["arguments"] == ["a": 1])
  }

  @Test func `max_completion_tokens wins over max_tokens`() throws {
    #expect(try chat(#""max_tokens":3,"max_completion_tokens":5"#).sampling.maxTokens == 5)
  }

  @Test func `Text parts of a message are joined by newlines`() throws {
    let parts = #"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#
    let request = try ChatCompletionRequest(fields(#"{"messages":[{"role":"user","content":\#(parts)}]}"#))
    #expect(request.messages.first?["content"] == "a\nb")
  }

  @Test(arguments: [
    "[]", "[1]", "[{}]", #"[{"role":1}]"#, #"[{"role":"user","content":[{"type":"image_url"}]}]"#, "{}",
  ])
  func `Messages that are none are a 400`(json: String) throws {
    let error = try #require(throws: APIError.self) { try ChatCompletionRequest(fields(#"{"messages":\#(json)}"#)) }
    #expect(error.status == 400)
  }
}
