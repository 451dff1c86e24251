import ServingAPI

/// What a worker serves, as OpenAPI 3.1: paths, fields with their types, and every status that may be answered.
enum OpenAPIDocument {
  /// One path: method, what it does, the body's schema if it takes one, and what a 200 holds.
  private struct Path {
    var method = "get"
    var pattern: String
    var summary: String
    var body: String?
    var answer = "application/json"
    var mayRefuse = false
  }

  private static let paths = [
    Path(
      method: "post", pattern: "/v1/completions", summary: "Continue prompts.", body: "CompletionRequest",
      mayRefuse: true),
    Path(
      method: "post", pattern: "/v1/chat/completions", summary: "Answer a conversation.", body: "ChatCompletionRequest",
      mayRefuse: true),
    Path(
      method: "post", pattern: "/v1/responses", summary: "Answer a conversation, as OpenAI's newer API words it.",
      body: "ResponsesRequest", mayRefuse: true),
    Path(
      method: "post", pattern: "/v1/messages", summary: "Answer a conversation, as Anthropic's API words it.",
      body: "MessagesRequest", mayRefuse: true),
    Path(
      method: "post", pattern: "/v1/embeddings", summary: "Vectors of texts: the last token's hidden state.",
      body: "EmbeddingRequest", mayRefuse: true),
    Path(method: "post", pattern: "/tokenize", summary: "Text or messages to token ids.", body: "TokenizeRequest"),
    Path(method: "post", pattern: "/detokenize", summary: "Token ids to text.", body: "DetokenizeRequest"),
    Path(
      method: "post", pattern: "/kv/release", summary: "Give up a handoff that nobody will pull.",
      body: "ReleaseRequest",
      answer: ""),
    Path(
      method: "post", pattern: "/kv/role", summary: "Take other requests than so far.", body: "RoleRequest"),
    Path(method: "post", pattern: "/reset_prefix_cache", summary: "Forget the KV that no request holds.", answer: ""),
    Path(pattern: "/v1/models", summary: "The served models."),
    Path(pattern: "/v1/models/{name}", summary: "One of them."),
    Path(pattern: "/health", summary: "Whether requests are taken.", answer: "", mayRefuse: true),
    Path(pattern: "/ready", summary: "The same.", answer: "", mayRefuse: true),
    Path(pattern: "/ping", summary: "Whether the process answers.", answer: ""),
    Path(method: "post", pattern: "/ping", summary: "The same.", answer: ""),
    Path(pattern: "/version", summary: "The program's version."),
    Path(pattern: "/load", summary: "Requests that are being answered."),
    Path(pattern: "/metrics", summary: "Prometheus metrics.", answer: "text/plain"),
    Path(pattern: "/openapi.json", summary: "This document."),
  ]

  /// Bodies that may ask for a stream.
  private static let streamed = ["CompletionRequest", "ChatCompletionRequest", "ResponsesRequest", "MessagesRequest"]

  static func document(version: String) -> BodyValue {
    var members = BodyValue.Fields()
    for path in paths {
      var methods = BodyValue.Fields()
      if case .object(let others)? = members[path.pattern] { methods = others }
      methods[path.method] = .object(operation(path))
      members[path.pattern] = .object(methods)
    }
    return [
      "openapi": "3.1.0",
      "info": ["title": "xpyd worker", "version": .string(version)],
      "paths": .object(members),
      "components": ["schemas": schemas],
    ]
  }

  private static func operation(_ path: Path) -> BodyValue.Fields {
    var operation = BodyValue.Fields()
    operation["summary"] = .string(path.summary)
    if path.pattern.contains("{name}") {
      operation["parameters"] = [["name": "name", "in": "path", "required": true, "schema": ["type": "string"]]]
    }
    if let body = path.body {
      operation["requestBody"] = [
        "required": true,
        "content": ["application/json": ["schema": ["$ref": .string("#/components/schemas/\(body)")]]],
      ]
    }
    operation["responses"] = .object(responses(path))
    return operation
  }

  private static func responses(_ path: Path) -> BodyValue.Fields {
    var content = BodyValue.Fields()
    if !path.answer.isEmpty { content[path.answer] = [:] }
    if path.body.map(streamed.contains) ?? false { content["text/event-stream"] = [:] }
    var responses = BodyValue.Fields()
    responses["200"] =
      content.members.isEmpty ? ["description": "Done."] : ["description": "Done.", "content": .object(content)]
    func add(_ status: String, _ description: String) {
      responses[status] = [
        "description": .string(description), "content": ["application/json": ["schema": ["type": "object"]]],
      ]
    }
    if path.body != nil {
      add("400", "The body is not one that is served: the error names the field.")
      add("413", "The body is too large.")
    }
    if path.body == "RoleRequest" { add("409", "The worker's part is fixed.") }
    if path.body != nil && !path.pattern.hasPrefix("/kv/") || path.pattern.contains("{name}") {
      add("404", "The model is not served.")
    }
    if path.body != nil || path.pattern.hasPrefix("/v1") || path.pattern == "/reset_prefix_cache" {
      add("401", "The key is missing or wrong.")
    }
    if path.mayRefuse { add("503", "No room, or shutting down.") }
    return responses
  }

  // MARK: Bodies

  private static var schemas: BodyValue {
    [
      "CompletionRequest": object(generation + completion, required: ["prompt"]),
      "ChatCompletionRequest": object(generation + chat, required: ["messages"]),
      "ResponsesRequest": object(responses, required: ["input"]),
      "MessagesRequest": object(messages, required: ["messages", "max_tokens"]),
      "EmbeddingRequest": object(embedding, required: ["input"]),
      "TokenizeRequest": object([
        ("model", "string"), ("prompt", "string"), ("messages", "array"), ("add_special_tokens", "boolean"),
        ("return_token_strs", "boolean"), ("add_generation_prompt", "boolean"), ("continue_final_message", "boolean"),
        ("chat_template_kwargs", "object"), ("documents", "array"),
      ]),
      "DetokenizeRequest": object([("model", "string"), ("tokens", "array")], required: ["tokens"]),
      "RoleRequest": object([("kv_role", "string")], required: ["kv_role"]),
      "ReleaseRequest": object([("remote_request_id", "string")], required: ["remote_request_id"]),
    ]
  }

  /// A field may be null where it may be absent. `any`: of several types.
  private static func object(_ fields: [(name: String, type: String)], required: [String] = []) -> BodyValue {
    var properties = BodyValue.Fields()
    for (name, type) in fields {
      let isRequired = required.contains(name)
      if type == "any" {
        properties[name] = [:]
      } else {
        properties[name] = ["type": isRequired ? .string(type) : [.string(type), "null"]]
      }
    }
    return [
      "type": "object", "properties": .object(properties), "required": .array(required.map { .string($0) }),
    ]
  }

  private static let generation: [(name: String, type: String)] = [
    ("model", "string"), ("max_tokens", "integer"), ("n", "integer"), ("temperature", "number"), ("top_p", "number"),
    ("top_k", "integer"), ("min_p", "number"), ("seed", "integer"), ("repetition_penalty", "number"),
    ("presence_penalty", "number"), ("frequency_penalty", "number"), ("logit_bias", "object"),
    ("allowed_token_ids", "array"), ("bad_words", "array"), ("stop", "any"), ("stop_token_ids", "array"),
    ("include_stop_str_in_output", "boolean"), ("ignore_eos", "boolean"), ("min_tokens", "integer"),
    ("skip_special_tokens", "boolean"), ("add_special_tokens", "boolean"), ("truncate_prompt_tokens", "integer"),
    ("truncation_side", "string"), ("prompt_logprobs", "integer"), ("echo", "boolean"), ("stream", "boolean"),
    ("stream_options", "object"), ("return_token_ids", "boolean"), ("return_tokens_as_token_ids", "boolean"),
    ("response_format", "object"), ("structured_outputs", "object"), ("cache_salt", "string"), ("request_id", "string"),
    ("user", "string"), ("kv_transfer_params", "object"),
  ]
  private static let completion: [(name: String, type: String)] = [
    ("prompt", "any"), ("logprobs", "integer"), ("xpyd_output_tokens", "integer"),
  ]
  private static let chat: [(name: String, type: String)] = [
    ("messages", "array"), ("max_completion_tokens", "integer"), ("logprobs", "boolean"), ("top_logprobs", "integer"),
    ("tools", "array"), ("tool_choice", "any"), ("parallel_tool_calls", "boolean"),
    ("add_generation_prompt", "boolean"),
    ("continue_final_message", "boolean"), ("chat_template_kwargs", "object"), ("documents", "array"),
  ]
  private static let responses: [(name: String, type: String)] = [
    ("model", "string"), ("input", "any"), ("instructions", "string"), ("max_output_tokens", "integer"),
    ("temperature", "number"), ("top_p", "number"), ("stream", "boolean"), ("text", "object"), ("tools", "array"),
    ("tool_choice", "any"), ("parallel_tool_calls", "boolean"), ("metadata", "object"), ("user", "string"),
    ("top_k", "integer"), ("min_p", "number"), ("seed", "integer"), ("stop", "any"), ("cache_salt", "string"),
    ("request_id", "string"), ("kv_transfer_params", "object"),
  ]
  private static let embedding: [(name: String, type: String)] = [
    ("model", "string"), ("input", "any"), ("encoding_format", "string"), ("use_activation", "boolean"),
    ("dimensions", "integer"), ("embed_dtype", "string"), ("endianness", "string"), ("padding", "string"),
    ("add_special_tokens", "boolean"), ("truncate_prompt_tokens", "integer"), ("truncation_side", "string"),
    ("cache_salt", "string"), ("request_id", "string"), ("user", "string"),
  ]
  private static let messages: [(name: String, type: String)] = [
    ("model", "string"), ("messages", "array"), ("system", "any"), ("max_tokens", "integer"),
    ("stop_sequences", "array"), ("temperature", "number"), ("top_p", "number"), ("top_k", "integer"),
    ("stream", "boolean"), ("tools", "array"), ("tool_choice", "object"), ("thinking", "object"),
    ("cache_salt", "string"), ("request_id", "string"), ("kv_transfer_params", "object"),
  ]
}
