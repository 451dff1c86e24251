/// Tokens of a request, over all its prompts and choices.
package struct Usage: Sendable, Equatable {
  package var promptTokens: Int
  package var completionTokens: Int

  package init(promptTokens: Int, completionTokens: Int) {
    self.promptTokens = promptTokens
    self.completionTokens = completionTokens
  }

  private var counts: BodyValue.Fields {
    var fields = BodyValue.Fields()
    fields.append("prompt_tokens", BodyValue(promptTokens))
    fields.append("total_tokens", BodyValue(promptTokens + completionTokens))
    fields.append("completion_tokens", BodyValue(completionTokens))
    return fields
  }

  /// In a stream's chunks.
  package var chunkJSON: BodyValue { .object(counts) }

  /// In a whole response.
  package var json: BodyValue {
    var fields = counts
    fields.append("prompt_tokens_details", .null)
    fields.append("completion_tokens_details", .null)
    return .object(fields)
  }
}
