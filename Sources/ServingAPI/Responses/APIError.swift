/// What a client is told when its request is not served; the body is vLLM's
/// `{"error":{"message":…,"type":…,"param":…,"code":…}}`.
package struct APIError: Error, Sendable, Equatable {
  package var status: Int
  package var type: String
  package var message: String
  package var param: String?
  /// Seconds, for the header `Retry-After`.
  package var retryAfter: Int?

  package init(status: Int, type: String, message: String, param: String? = nil, retryAfter: Int? = nil) {
    self.status = status
    self.type = type
    self.message = message
    self.param = param
    self.retryAfter = retryAfter
  }

  package var body: BodyValue {
    [
      "error": [
        "message": .string(message), "type": .string(type), "param": BodyValue(param), "code": BodyValue(status),
      ]
    ]
  }

  /// A value that no request may have.
  package static func badRequest(_ message: String, param: String? = nil) -> APIError {
    APIError(status: 400, type: "BadRequestError", message: message, param: param)
  }

  /// As vLLM appends to its messages: `(parameter=max_tokens, value=-1)`.
  package static func badValue(_ message: String, param: String, value: String? = nil) -> APIError {
    badRequest("\(message) (parameter=\(param)\(value.map { ", value=\($0)" } ?? ""))", param: param)
  }

  package static func unknownModel(_ name: String, served: [String]) -> APIError {
    APIError(
      status: 404, type: "NotFoundError",
      message: "The model `\(name)` does not exist. Valid aliases: \(served.joined(separator: ", ")).", param: "model")
  }

  package static let unsupportedMediaType = APIError(
    status: 400, type: "Bad Request",
    message: "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed")

  package static func overloaded(_ message: String, retryAfter: Int) -> APIError {
    APIError(status: 503, type: "ServiceUnavailableError", message: message, retryAfter: retryAfter)
  }

  package static func internalError(_ message: String = "Internal server error") -> APIError {
    APIError(status: 500, type: "InternalServerError", message: message)
  }

  /// A prompt that does not fit, with vLLM's text: both numbers, and which of the two to shorten.
  package static func tooLong(promptTokens: Int, outputTokens: Int?, contextLength: Int) -> APIError {
    let begin = "This model's maximum context length is \(contextLength) tokens. However, "
    let text: String
    if let outputTokens, promptTokens <= contextLength {
      text =
        "\(begin)you requested \(outputTokens) output tokens and your prompt contains at least \(promptTokens) input "
        + "tokens, for a total of at least \(promptTokens + outputTokens) tokens. Please reduce the length of the "
        + "input prompt or the number of requested output tokens."
    } else {
      text =
        "\(begin)your prompt contains at least \(promptTokens) input tokens, which exceeds this limit even without "
        + "any output tokens. Please reduce the length of the input prompt."
    }
    return badValue(text, param: "input_tokens", value: "\(promptTokens)")
  }
}

extension APIError {
  /// FastAPI's `{"detail": …}` for what the router itself answers.
  package static func detail(_ text: String) -> BodyValue { ["detail": .string(text)] }
}
