/// What a client may ask for; also the closed set of a metric's label.
enum Endpoint: String, CaseIterable {
  case completions
  case chat
  case tokenize
  case detokenize
  case models
  case health
  case ready
  case metrics
  case stats
  case version

  init?(path: String) {
    switch path {
    case "/v1/completions": self = .completions
    case "/v1/chat/completions": self = .chat
    case "/tokenize": self = .tokenize
    case "/detokenize": self = .detokenize
    case "/v1/models": self = .models
    case "/health", "/ping": self = .health
    case "/ready": self = .ready
    case "/metrics": self = .metrics
    case "/stats": self = .stats
    case "/version": self = .version
    default: return nil
    }
  }

  /// HEAD is allowed where GET is.
  var method: String {
    switch self {
    case .completions, .chat, .tokenize, .detokenize: "POST"
    case .models, .health, .ready, .metrics, .stats, .version: "GET"
    }
  }

  /// Who watches the proxy has no client's key.
  var needsKey: Bool {
    switch self {
    case .completions, .chat, .tokenize, .detokenize, .models: true
    case .health, .ready, .metrics, .stats, .version: false
    }
  }

  /// Endpoints that reach a worker once, by way of a `RequestExchange`.
  static let relayed: [Endpoint] = [.completions, .chat, .tokenize, .detokenize]
}

/// How a relayed request ended; a closed set.
enum Outcome: String, CaseIterable {
  case ok
  /// 4xx: the client's fault.
  case refused
  /// No worker answered.
  case failed
  /// The stream was broken off with an error event.
  case broken
  case clientGone = "client_gone"
}
