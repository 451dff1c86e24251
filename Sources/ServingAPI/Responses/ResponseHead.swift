/// What all chunks of one response repeat.
package struct ResponseHead: Sendable {
  /// `cmpl-…` or `chatcmpl-…`.
  package var id: String
  /// Unix seconds.
  package var created: Int
  package var model: String
  package var systemFingerprint: String

  package init(id: String, created: Int, model: String, systemFingerprint: String) {
    self.id = id
    self.created = created
    self.model = model
    self.systemFingerprint = systemFingerprint
  }

  func fields(object: String) -> BodyValue.Fields {
    var fields = BodyValue.Fields()
    fields.append("id", .string(id))
    fields.append("object", .string(object))
    fields.append("created", BodyValue(created))
    fields.append("model", .string(model))
    return fields
  }
}

/// Why a choice ended; `stopReason` is the stop string or the stop token's id.
package struct ChoiceEnd: Sendable, Equatable {
  package enum Reason: String, Sendable {
    case stop, length, abort, error
    /// The output is calls of tools, and nothing cut it short.
    case toolCalls = "tool_calls"
  }

  package var reason: Reason
  package var stopReason: BodyValue

  package init(_ reason: Reason, stopReason: BodyValue = .null) {
    self.reason = reason
    self.stopReason = stopReason
  }
}

/// One token's log-probability as text.
package struct TextLogprob: Sendable, Equatable {
  package struct Candidate: Sendable, Equatable {
    package var token: String
    package var bytes: [UInt8]
    /// nil: a prompt's first token, which nothing stands before.
    package var logprob: Float?

    package init(token: String, bytes: [UInt8], logprob: Float?) {
      self.token = token
      self.bytes = bytes
      self.logprob = logprob
    }

    /// −∞ is no JSON: vLLM writes −9999.
    var value: BodyValue { logprob.map { .number(Double(max($0, -9999))) } ?? .null }
  }

  package var chosen: Candidate
  /// Best first.
  package var top: [Candidate]
  /// Unicode scalars of the choice's text before this token.
  package var textOffset: Int

  package init(chosen: Candidate, top: [Candidate], textOffset: Int) {
    self.chosen = chosen
    self.top = top
    self.textOffset = textOffset
  }
}
