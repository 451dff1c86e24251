/// What both generation endpoints share beyond sampling: how the answer is to be sent, and what becomes of the KV.
package struct RequestOptions: Sendable, Equatable {
  package struct Streaming: Sendable, Equatable {
    package var includeUsage = false
    package var continuousUsage = false

    package init() {}
  }

  /// nil: the model that is served.
  package var model: String?
  /// nil: one JSON body.
  package var streaming: Streaming?
  package var handoff: HandoffParameters
  /// The client's name of the request, where it sends no header `X-Request-Id`.
  package var requestID: String?
  package var addSpecialTokens: Bool
  package var truncation: Truncation?
  package var returnTokenIDs: Bool
  /// Tokens in log-probabilities read `token_id:42` instead of text.
  package var tokensAsIDs: Bool
  /// Prompts with different salts never share cached KV.
  package var cacheSalt: String?

  package struct Truncation: Sendable, Equatable {
    /// Tokens of the prompt to keep; nil: as many as fit.
    package var tokens: Int?
    package var keepsEnd = true
  }

  /// - Parameter addsSpecialTokens: the endpoint's default for `add_special_tokens`.
  init(_ reader: inout FieldReader, addsSpecialTokens: Bool) throws(APIError) {
    model = reader.string("model")
    requestID = reader.string("request_id")
    addSpecialTokens = reader.bool("add_special_tokens") ?? addsSpecialTokens
    returnTokenIDs = reader.bool("return_token_ids") ?? false
    tokensAsIDs = reader.bool("return_tokens_as_token_ids") ?? false
    truncation = Self.truncation(&reader)
    cacheSalt = reader.string("cache_salt")
    if let cacheSalt, !(1...1024).contains(cacheSalt.utf8.count) {
      reader.refuse("cache_salt", "String should have 1 to 1024 characters")
    }
    let isStreamed = reader.bool("stream") ?? false
    var wanted = Streaming()
    if let options = reader.dictionary("stream_options") {
      var inner = FieldReader(options, at: "body.stream_options")
      wanted.includeUsage = inner.bool("include_usage") ?? false
      wanted.continuousUsage = inner.bool("continuous_usage_stats") ?? false
      try inner.finish()
      if !isStreamed {
        throw .badValue("Stream options can only be defined when `stream=True`.", param: "stream_options")
      }
    }
    streaming = isStreamed ? wanted : nil
    handoff = try HandoffParameters(reader.fields["kv_transfer_params"])
  }

  private static func truncation(_ reader: inout FieldReader) -> Truncation? {
    guard let tokens = reader.int("truncate_prompt_tokens") else { return nil }
    if tokens < -1 || tokens == 0 {
      reader.refuse("truncate_prompt_tokens", "Input should be -1 or at least 1")
    }
    var truncation = Truncation(tokens: tokens == -1 ? nil : tokens)
    switch reader.string("truncation_side") {
    case nil, "left": truncation.keepsEnd = true
    case "right": truncation.keepsEnd = false
    default: reader.refuse("truncation_side", "Input should be 'left' or 'right'")
    }
    return truncation
  }
}
