import HTTPServer

/// Why a leg did not give an answer that could be used.
package enum LegFault: Error, Sendable, Equatable, CustomStringConvertible {
  /// - Parameter reason: Says of the worker why: `refused the connection`.
  case connect(reason: String)
  case connectTimeout
  /// The connection ended before the answer did.
  case closed
  case malformed(HTTPProtocolError)
  case deadline(Deadline)
  /// `/health` of its worker goes unanswered or says no.
  case unhealthy
  /// Its worker was removed, and did not end it in the time that it had.
  case removed
  /// 5xx, 429 or 408.
  case answered(status: Int)
  /// Status 200, then an error as an event.
  case errorEvent
  case tooLarge
  /// It was given the rest of another's answer, and knows nothing of the text that the other had held back.
  case cannotContinue

  package enum Deadline: String, Sendable {
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
    case .unhealthy: "unhealthy"
    case .removed: "removed"
    case .answered(429): "status_429"
    case .answered(408): "status_408"
    case .answered: "status_5xx"
    case .errorEvent: "error_event"
    case .tooLarge: "too_large"
    case .cannotContinue: "cannot_continue"
    }
  }

  static let labels = [
    "connect", "connect_timeout", "closed", "malformed", "deadline_prefill", "deadline_first_token", "deadline_idle",
    "deadline_request", "unhealthy", "removed", "status_429", "status_408", "status_5xx", "error_event", "too_large",
    "cannot_continue",
  ]

  /// What the worker did, to be put after its name.
  package var description: String {
    switch self {
    case .connect(let reason): reason
    case .connectTimeout: "did not accept the connection in time"
    case .closed: "closed the connection before its answer was complete"
    case .malformed: "gave an answer that is not valid HTTP"
    case .deadline(.prefill): "did not finish the prefill in time"
    case .deadline(.firstToken): "sent no first token in time"
    case .deadline(.idle): "stopped in the middle of its answer"
    case .deadline(.request): "did not finish in the time that a request may take"
    case .unhealthy: "fails its health checks"
    case .removed: "was removed before its answer was complete"
    case .answered(let status): "answered with status \(status)"
    case .errorEvent: "reported an error in its stream"
    case .tooLarge: "gave an answer that is too large"
    case .cannotContinue: "cannot go on with another decoder's answer that has stop strings"
    }
  }

  /// What the fault says of the worker; nil if nothing.
  var workerFault: WorkerHealth.Fault? {
    switch self {
    case .connect: .unreachable
    case .connectTimeout, .deadline(.prefill), .deadline(.firstToken), .deadline(.idle): .stalled
    case .closed, .malformed, .errorEvent, .tooLarge: .failing
    case .answered(let status): status >= 500 && status != 503 ? .failing : nil
    case .deadline(.request), .unhealthy, .removed, .cannotContinue: nil
    }
  }
}
