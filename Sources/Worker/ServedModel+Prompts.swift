import ServingAPI
import Tokenization

/// From what a client sends to token ids.
extension ServedModel {
  /// - Parameter param: The field that the prompt came in.
  func tokens(
    of prompt: CompletionRequest.Prompt, addSpecialTokens: Bool, param: String = "prompt"
  ) throws(APIError) -> [Int32] {
    switch prompt {
    case .text(let text): return tokenizer.encode(text, addSpecial: addSpecialTokens, parseSpecial: true)
    case .tokens(let ids):
      try check(ids, param: param)
      return ids
    }
  }

  func text(of prompt: CompletionRequest.Prompt) -> String {
    switch prompt {
    case .text(let text): text
    case .tokens(let ids): tokenizer.decode(ids, skipSpecial: false)
    }
  }

  func check(_ ids: [Int32], param: String) throws(APIError) {
    if let id = ids.first(where: { !tokenizer.isValid($0) }) {
      throw .badRequest("Token id \(id) is out of vocabulary", param: param)
    }
  }

  /// What `echo` puts before a chat's answer: the last message, if it is of the one who answers.
  func echo(of request: ChatCompletionRequest) -> String {
    let last = request.messages.last
    let isSame = !request.template.addGenerationPrompt || last?["role"] == "assistant"
    return isSame ? last?["content"]?.stringValue ?? "" : ""
  }

  /// Each word as tokens, as it is and after a space, since both would show it. Source: vLLM's
  /// `SamplingParams.update_from_tokenizer`.
  func badWords(_ words: [String]) -> [[Int32]] {
    words.flatMap { word in
      let trimmed = String(word.drop(while: \.isWhitespace))
      let plain = tokenizer.encode(trimmed, addSpecial: false, parseSpecial: true)
      let spaced = tokenizer.encode(" " + trimmed, addSpecial: false, parseSpecial: true)
      let isOther = spaced.count == plain.count && spaced.first != plain.first
      return [plain] + (isOther ? [spaced] : [])
    }
    .filter { !$0.isEmpty }
  }

  /// The prompt that the model's template makes of a conversation.
  func render(
    _ messages: [BodyValue], _ options: ChatCompletionRequest.Template, tools: [BodyValue]? = nil
  ) throws(APIError) -> String {
    guard let template else {
      throw .badRequest(
        "This model's file has no chat template. Use /v1/completions, or serve a model that has one.",
        param: "messages")
    }
    var variables = options.variables.members.map { ($0.key, TemplateValue($0.value)) }
    if let documents = options.documents {
      variables.insert(("documents", .array(documents.map { TemplateValue($0) })), at: 0)
    }
    let text: String
    do {
      text = try template.render(
        messages: messages.map { TemplateValue($0) }, addGenerationPrompt: options.addGenerationPrompt,
        bosToken: tokenizer.bosTokenID.map { tokenizer.text(of: $0) },
        eosToken: tokenizer.eosTokenID.map { tokenizer.text(of: $0) },
        tools: tools?.map { TemplateValue($0) }, extra: Dictionary(variables, uniquingKeysWith: { $1 }))
    } catch {
      throw .badRequest("The chat template does not take these messages: \(error)", param: "messages")
    }
    guard options.continueFinalMessage else { return text }
    return try Self.cut(text, after: messages.last?["content"]?.stringValue ?? "")
  }

  /// Leaves off what the template put after the last message, so that the model goes on with it.
  /// Source: `continue_final_message` of transformers' `apply_chat_template`.
  private static func cut(_ text: String, after message: String) throws(APIError) -> String {
    let bytes = Array(text.utf8)
    let wanted = Array(message.trimmingSpace.utf8)
    guard !wanted.isEmpty, bytes.count >= wanted.count,
      let start = (0...(bytes.count - wanted.count)).last(where: { bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
      )
    else {
      throw .badRequest(
        "continue_final_message: the chat template changes the last message, so it cannot be continued.",
        param: "continue_final_message")
    }
    return String(decoding: bytes[..<(start + wanted.count)], as: UTF8.self)
  }

  /// Refuses a text that cannot fit the context, before it is cut into tokens.
  func checkLength(_ text: String, truncation: RequestOptions.Truncation?) throws(APIError) {
    guard truncation == nil else { return }
    // Normal form C, on which some tokenizers work, makes a text at most three times shorter (Hangul's jamo).
    let bytesPerToken = 3 * longestToken
    let tokens = (text.utf8.count + bytesPerToken - 1) / bytesPerToken
    if tokens > maxModelLength {
      throw .tooLong(promptTokens: tokens, outputTokens: nil, contextLength: maxModelLength)
    }
  }

  /// - Parameters:
  ///   - outputTokens: That many must have room behind the prompt.
  /// - Throws: A 400 with both numbers if prompt and output do not fit the context.
  func fit(
    _ tokens: [Int32], truncation: RequestOptions.Truncation?, outputTokens: Int
  ) throws(APIError) -> [Int32] {
    var tokens = tokens
    if let truncation {
      let limit = truncation.tokens ?? maxModelLength - outputTokens
      if limit > maxModelLength {
        throw .badValue(
          "truncate_prompt_tokens=\(limit) cannot be greater than max_model_len=\(maxModelLength).",
          param: "truncate_prompt_tokens", value: "\(limit)")
      }
      tokens = Array(truncation.keepsEnd ? tokens.suffix(max(1, limit)) : tokens.prefix(max(1, limit)))
    }
    if tokens.isEmpty { throw .badValue("The prompt has no tokens.", param: "prompt") }
    if tokens.count + outputTokens > maxModelLength {
      throw .tooLong(
        promptTokens: tokens.count, outputTokens: outputTokens, contextLength: maxModelLength)
    }
    return tokens
  }
}

extension TemplateValue {
  init(_ value: BodyValue) {
    switch value {
    case .null: self = .none
    case .bool(let flag): self = .bool(flag)
    case .integer(let integer): self = .int(Int(integer))
    case .number(let number): self = .double(number)
    case .string(let text): self = .string(text)
    case .array(let elements): self = .array(elements.map { TemplateValue($0) })
    case .object(let fields):
      self = .object(TemplateMap(fields.members.map { ($0.key, TemplateValue($0.value)) }))
    }
  }
}

extension String {
  /// Without white space at its ends.
  fileprivate var trimmingSpace: Substring {
    var text = self[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }
}
