import ServingAPI

/// The one table from what went wrong with the workers to what the client is told.
extension APIError {
  init(_ fault: LegFault?) {
    let explanation = fault.map { ": \($0)" } ?? ""
    switch fault {
    case nil:
      self = .overloaded("No decoder is configured that could answer.", retryAfter: 1)
    case .connect, .connectTimeout, .unresponsive:
      self = .overloaded("No worker can be reached; of the last one tried\(explanation).", retryAfter: 1)
    case .answered(status: 429):
      self = APIError(
        status: 429, type: "TooManyRequestsError",
        message: "All workers are busy; of the last one tried\(explanation).",
        retryAfter: 1)
    case .answered(status: 503):
      self = .overloaded("All workers are busy or starting; of the last one tried\(explanation).", retryAfter: 1)
    case .deadline:
      self = APIError(
        status: 504, type: "GatewayTimeoutError",
        message: "No worker answered in time; of the last one tried\(explanation).")
    case .closed, .malformed, .answered, .errorEvent, .tooLarge:
      self = APIError(
        status: 502, type: "BadGatewayError", message: "No worker gave an answer; of the last one tried\(explanation).")
    }
  }

  /// After a part of the stream has gone out; the client gets it as the last event, and no `[DONE]`.
  static func brokenStream(_ fault: LegFault) -> APIError {
    APIError(
      status: 502, type: "BadGatewayError",
      message: "The decoder failed in the middle of the answer: \(fault). What came before is incomplete.")
  }

  static let unauthorized = APIError(
    status: 401, type: "AuthenticationError",
    message: "The API key is missing or wrong. Send Authorization: Bearer KEY.")

  static func unknownPath(_ path: String) -> APIError {
    APIError(status: 404, type: "NotFoundError", message: "There is nothing at this path.", param: path)
  }

  static func methodNotAllowed(_ allowed: String) -> APIError {
    APIError(status: 405, type: "MethodNotAllowedError", message: "This path answers to \(allowed) only.")
  }
}
