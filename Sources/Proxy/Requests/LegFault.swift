import HTTPServer

/// Why a leg did not give an answer that could be used.
enum LegFault: Error, Sendable, Equatable, CustomStringConvertible {
  case connect(String)
  case connectTimeout
  /// The connection ended before the answer did.
  case closed
  case malformed(HTTPProtocolError)
  case deadline(Deadline)
  /// `/health` of its worker goes unanswered.
  case unresponsive
  /// 5xx, 429 or 408.
  case answered(status: Int)
  /// Status 200, then an error as the first event.
  case errorEvent
  case tooLarge

  enum Deadline: String, Sendable {
    case prefill
    case firstToken = "first_token"
    case idle
    case request
  }

  /// For metrics: one of a closed set.
  var label: String {
    switch self {
    case .connect: "connect"
    case .connectTimeout: "connect_timeout"
    case .closed: "closed"
    case .malformed: "malformed"
    case .deadline(let deadline): "deadline_\(deadline.rawValue)"
    case .unresponsive: "unresponsive"
    case .answered(429): "status_429"
    case .answered(let status) where status < 500: "status_4xx"
    case .answered: "status_5xx"
    case .errorEvent: "error_event"
    case .tooLarge: "too_large"
    }
  }

  static let labels = [
    "connect", "connect_timeout", "closed", "malformed", "deadline_prefill", "deadline_first_token", "deadline_idle",
    "deadline_request", "unresponsive", "status_429", "status_4xx", "status_5xx", "error_event", "too_large",
  ]

  var description: String {
    switch self {
    case .connect(let reason): "it cannot be connected to (\(reason))"
    case .connectTimeout: "connecting to it took too long"
    case .closed: "it closed the connection before its answer was complete"
    case .malformed: "its answer is not valid HTTP"
    case .deadline(let deadline): "it did not answer within the \(deadline.rawValue) deadline"
    case .unresponsive: "it does not answer its health checks"
    case .answered(let status): "it answered with status \(status)"
    case .errorEvent: "its stream began with an error"
    case .tooLarge: "its answer is too large"
    }
  }

  /// What the fault says of the worker; nil if nothing.
  var workerFault: WorkerHealth.Fault? {
    switch self {
    case .connect: .unreachable
    case .connectTimeout, .deadline(.prefill), .deadline(.firstToken), .deadline(.idle): .stalled
    case .closed, .malformed, .errorEvent, .tooLarge: .failing
    case .answered(let status): status >= 500 && status != 503 ? .failing : nil
    case .deadline(.request), .unresponsive: nil
    }
  }
}
