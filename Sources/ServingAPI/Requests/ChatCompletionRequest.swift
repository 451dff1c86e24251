/// The body of `POST /v1/chat/completions`, and of `/tokenize` with messages.
package struct ChatCompletionRequest: Sendable, Equatable {
  package struct Template: Sendable, Equatable {
    package var addGenerationPrompt = true
    package var continueFinalMessage = false
    /// Texts that some templates put before the conversation.
    package var documents: [BodyValue]?
    package var variables = BodyValue.Fields()
  }

  /// At least one object with a string `role`; content parts are joined to one text already.
  package var messages: [BodyValue]
  package var template: Template
  /// nil: none.
  package var tools: ToolFields?
  package var echo: Bool
  package var sampling: SamplingFields
  package var options: RequestOptions

  package init(_ fields: BodyValue.Fields, defaults: SamplingDefaults = SamplingDefaults()) throws(APIError) {
    var reader = FieldReader(fields)
    var sampling = try SamplingFields(&reader, defaults)
    sampling.maxTokens = reader.int("max_completion_tokens") ?? reader.int("max_tokens")
    echo = reader.bool("echo") ?? false
    let isLogprobsWanted = reader.bool("logprobs") ?? false
    let topLogprobs = reader.int("top_logprobs")
    options = try RequestOptions(&reader, addsSpecialTokens: false)
    template = Template(&reader)
    tools = try ToolFields(&reader)
    let messages = try Self.messages(&reader)
    try reader.finish()
    if let topLogprobs {
      if topLogprobs < 0 {
        throw .badValue("`top_logprobs` must be a positive value.", param: "top_logprobs", value: "\(topLogprobs)")
      }
      if topLogprobs > 0, !isLogprobsWanted {
        throw .badValue("when using `top_logprobs`, `logprobs` must be set to true.", param: "top_logprobs")
      }
    }
    sampling.logprobs = isLogprobsWanted ? topLogprobs ?? 0 : nil
    if sampling.promptLogprobs != nil, options.streaming != nil {
      throw .badValue("`prompt_logprobs` are not available when `stream=True`.", param: "prompt_logprobs")
    }
    if let forced = try tools?.constraint() {
      if let other = sampling.constraint {
        throw .badValue("A tool that must be called leaves no room for \(other.field).", param: other.field)
      }
      sampling.constraint = forced
    }
    try UnsupportedFields.refuse(UnsupportedFields.ofChat, in: fields)
    self.messages = messages
    self.sampling = sampling
    if template.addGenerationPrompt, template.continueFinalMessage {
      throw .badValue(
        "Cannot set both `continue_final_message` and `add_generation_prompt` to True.", param: "continue_final_message"
      )
    }
  }

  static func messages(_ reader: inout FieldReader) throws(APIError) -> [BodyValue] {
    guard reader.present("messages") != nil else {
      reader.note(.missing, "messages", .object(reader.fields))
      return []
    }
    var messages: [BodyValue] = []
    for (index, element) in (reader.list("messages") ?? []).enumerated() {
      guard case .object(var message) = element else {
        reader.note(.dictType, "messages.\(index)", element)
        continue
      }
      guard case .string? = message["role"] else {
        reader.note(message["role"] == nil ? .missing : .stringType, "messages.\(index).role", element)
        continue
      }
      message["content"] = try content(message["content"], at: index, &reader)
      if let calls = message["tool_calls"]?.arrayValue {
        message["tool_calls"] = .array(calls.map(withParsedArguments))
      }
      messages.append(.object(message))
    }
    try reader.finish()
    if messages.isEmpty { throw .badValue("messages must have at least one message.", param: "messages") }
    return messages
  }

  /// Templates print a call's arguments as JSON themselves, and clients send them as JSON text: as vLLM, the template gets
  /// the value.
  private static func withParsedArguments(_ call: BodyValue) -> BodyValue {
    guard case .object(var fields) = call, case .object(var function)? = fields["function"],
      let text = function["arguments"]?.stringValue, let value = try? BodyParser.parse(Array(text.utf8))
    else { return call }
    function["arguments"] = value
    fields["function"] = .object(function)
    return .object(fields)
  }

  /// A string, null, or a list of `{"type":"text","text":…}` parts, which are joined by newlines as vLLM does for
  /// templates that expect a string.
  private static func content(
    _ value: BodyValue?, at index: Int, _ reader: inout FieldReader
  ) throws(APIError) -> BodyValue {
    switch value {
    case nil, .null?: return ""
    case .string?: return value!
    case .array(let parts)?:
      var texts: [String] = []
      for part in parts {
        if case .string(let text) = part {
          texts.append(text)
        } else if part["type"] == "text", let text = part["text"]?.stringValue {
          texts.append(text)
        } else {
          let type = part["type"]?.stringValue ?? "unknown"
          throw .badValue(
            "messages[\(index)] has a content part of type '\(type.prefix(32))'; this model reads only 'text'.",
            param: "messages")
        }
      }
      return .string(texts.joined(separator: "\n"))
    case let other?:
      reader.note(.stringType, "messages.\(index).content", other)
      return ""
    }
  }
}

extension ChatCompletionRequest.Template {
  init(_ reader: inout FieldReader) {
    continueFinalMessage = reader.bool("continue_final_message") ?? false
    addGenerationPrompt = reader.bool("add_generation_prompt") ?? true
    variables = reader.dictionary("chat_template_kwargs") ?? variables
    documents = reader.list("documents")
  }
}
