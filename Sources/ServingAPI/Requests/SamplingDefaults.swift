/// What a request gets that does not say how to choose tokens: OpenAI's defaults, but for what the served model's authors
/// recommend.
package struct SamplingDefaults: Sendable, Equatable {
  package var temperature: Double = 1
  package var topP: Double = 1
  /// 0: all tokens.
  package var topK = 0
  package var minP: Double = 0
  package var repetitionPenalty: Double = 1
  /// The most that any request gets; nil: what fits.
  package var maxTokens: Int?

  package init() {}

  /// - Throws: What a request with these numbers would be refused with.
  package func validate() throws(APIError) {
    var fields = SamplingFields(self)
    fields.maxTokens = maxTokens
    try fields.validate(contextLength: .max, vocabularySize: .max)
  }
}
