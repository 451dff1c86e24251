/// The body of `POST /tokenize`: a prompt, or messages for the chat template.
package struct TokenizeRequest: Sendable, Equatable {
  package enum Input: Sendable, Equatable {
    case prompt(String)
    case messages([BodyValue], ChatCompletionRequest.Template)
  }

  package var model: String?
  package var input: Input
  package var addSpecialTokens: Bool
  package var returnTokenStrings: Bool

  package init(_ fields: BodyValue.Fields) throws(APIError) {
    var reader = FieldReader(fields)
    model = reader.string("model")
    returnTokenStrings = reader.bool("return_token_strs") ?? false
    let hasMessages = reader.present("messages") != nil
    addSpecialTokens = reader.bool("add_special_tokens") ?? !hasMessages
    let template = ChatCompletionRequest.Template(&reader)
    if hasMessages {
      input = .messages(try ChatCompletionRequest.messages(&reader), template)
    } else {
      input = .prompt(reader.requiredString("prompt"))
    }
    try reader.finish()
  }
}

/// The body of `POST /detokenize`.
package struct DetokenizeRequest: Sendable, Equatable {
  package var model: String?
  package var tokens: [Int32]

  package init(_ fields: BodyValue.Fields) throws(APIError) {
    var reader = FieldReader(fields)
    model = reader.string("model")
    if reader.present("tokens") == nil { reader.note(.missing, "tokens", .object(fields)) }
    tokens = reader.tokenIDs("tokens") ?? []
    try reader.finish()
  }
}
