import ServingAPI

/// The one table from what went wrong with the workers to what the client is told.
extension APIError {
  /// - Parameter worker: The one that the last fault struck; nil if there was none to try.
  init(_ fault: LegFault?, on worker: Worker?) {
    guard let fault, let worker else {
      self = .overloaded("No decoder is configured that could answer.", retryAfter: 1)
      return
    }
    let role = worker.role.name
    let what = "\(worker.address) \(fault)"
    switch fault {
    case .connect, .connectTimeout, .unhealthy:
      self = .overloaded("No \(role) can be reached: \(what). Start it, or see its log.", retryAfter: 1)
    case .removed:
      self = .overloaded("No \(role) is left: \(what). Try again later, or add \(role)s.", retryAfter: 1)
    case .answered(status: 429):
      self = APIError(
        status: 429, type: "TooManyRequestsError",
        message: "No \(role) is free: \(what). Try again later, or add \(role)s.", retryAfter: 1)
    case .answered(status: 503):
      self = .overloaded("No \(role) is ready: \(what). Try again later, or see its log.", retryAfter: 1)
    case .deadline:
      self = APIError(
        status: 504, type: "GatewayTimeoutError",
        message: "No \(role) answered in time: \(what). See its log, or raise the proxy's deadlines.")
    case .closed, .malformed, .answered, .errorEvent, .tooLarge, .cannotContinue:
      self = APIError(
        status: 502, type: "BadGatewayError", message: "No \(role) gave an answer: \(what). See its log.")
    }
  }

  /// After a part of the stream has gone out; the client gets it as the last event, and no `[DONE]`.
  static func brokenStream(_ fault: LegFault, on worker: Worker) -> APIError {
    APIError(
      status: 502, type: "BadGatewayError",
      message: "The answer is incomplete: \(worker.role.name) \(worker.address) \(fault). See its log.")
  }

  static func conflict(_ message: String) -> APIError {
    APIError(status: 409, type: "ConflictError", message: message)
  }

  static let unauthorizedAdmin = APIError(
    status: 401, type: "AuthenticationError",
    message: "The admin key is missing or wrong. Send Authorization: Bearer KEY, one of --admin-key.")

  static let administrationIsOff = APIError(
    status: 403, type: "PermissionDeniedError",
    message: "This is off: start the proxy with --admin-key, --admin-key-file or XPYD_ADMIN_KEY in its environment.")

  static let unauthorized = APIError(
    status: 401, type: "AuthenticationError",
    message: "The API key is missing or wrong. Send Authorization: Bearer KEY.")

  static func unknownPath(_ path: String) -> APIError {
    APIError(status: 404, type: "NotFoundError", message: "There is nothing at this path.", param: path)
  }

  static func methodNotAllowed(_ allowed: [String]) -> APIError {
    APIError(
      status: 405, type: "MethodNotAllowedError",
      message: "This path answers to \(allowed.joined(separator: " and ")) only.")
  }

  /// The client's own fault is 429, the fleet's 503.
  static func rejected(_ reason: Rejection, retryAfter: Int) -> APIError {
    switch reason {
    case .quota:
      APIError(
        status: 429, type: "TooManyRequestsError",
        message: "This client has as many requests as it may have. Try again when one of them has ended.",
        retryAfter: retryAfter)
    case .queueFull, .displaced:
      .overloaded("Too many requests wait. Try again later, or add workers.", retryAfter: retryAfter)
    case .queueBytes:
      .overloaded("The requests that wait are too large together. Try again later.", retryAfter: retryAfter)
    case .queueTime:
      .overloaded("The request's turn did not come in time. Try again later, or add workers.", retryAfter: retryAfter)
    case .tooLate:
      .overloaded("The first token would come later than is asked for. Try again later.", retryAfter: retryAfter)
    }
  }
}
