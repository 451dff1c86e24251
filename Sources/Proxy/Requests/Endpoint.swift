/// What a client may ask for; also the closed set of a metric's label.
enum Endpoint: String, CaseIterable {
  case completions
  case chat
  case tokenize
  case detokenize
  case embeddings
  case responses
  case messages
  case score
  case rerank
  case pooling
  case classify
  case models
  case health
  case ready
  case metrics
  case stats
  case version
  case load
  case logLevel
  case dashboard
  case workerMetrics
  case adminWorkers
  case adminWorker

  init?(path: String) {
    switch path {
    case "/v1/completions": self = .completions
    case "/v1/chat/completions": self = .chat
    case "/tokenize": self = .tokenize
    case "/detokenize": self = .detokenize
    case "/v1/embeddings": self = .embeddings
    case "/v1/responses": self = .responses
    case "/v1/messages": self = .messages
    case "/score", "/v1/score": self = .score
    case "/rerank", "/v1/rerank", "/v2/rerank": self = .rerank
    case "/pooling": self = .pooling
    case "/classify": self = .classify
    case "/v1/models": self = .models
    case "/health", "/ping": self = .health
    case "/ready": self = .ready
    case "/metrics": self = .metrics
    case "/stats": self = .stats
    case "/version": self = .version
    case "/load": self = .load
    case "/log-level": self = .logLevel
    case "/": self = .dashboard
    case _ where WorkerMetrics.worker(of: path) != nil: self = .workerMetrics
    case WorkerAdministration.path: self = .adminWorkers
    case _ where path.hasPrefix(WorkerAdministration.path + "/"): self = .adminWorker
    default: return nil
    }
  }

  /// HEAD is allowed where GET is.
  var methods: [String] {
    switch self {
    case .logLevel: ["GET", "PUT"]
    case .adminWorkers: ["GET", "POST"]
    case .adminWorker: ["PATCH", "DELETE"]
    default: [method]
    }
  }

  /// What a worker is asked with.
  var method: String { isRelayed ? "POST" : "GET" }

  /// Whether tokens are computed, so that the first one is worth a time.
  var generates: Bool {
    switch self {
    case .completions, .chat, .responses, .messages: true
    default: false
    }
  }

  /// The request's field that limits the output's tokens.
  var limit: String { self == .responses ? "max_output_tokens" : "max_tokens" }

  /// A client's. Who watches the proxy has none, and who changes its workers has another.
  var needsKey: Bool { isRelayed || self == .models || self == .logLevel }

  /// Whether its requests stand in the access log: not those of who watches the proxy.
  var isLogged: Bool { needsKey || self == .adminWorkers || self == .adminWorker }

  /// Whether a request reaches a worker, by way of a `RequestExchange`.
  var isRelayed: Bool {
    switch self {
    case .completions, .chat, .tokenize, .detokenize, .embeddings, .responses, .messages, .score, .rerank, .pooling,
      .classify:
      true
    case .models, .health, .ready, .metrics, .stats, .version, .load, .logLevel, .dashboard, .workerMetrics,
      .adminWorkers, .adminWorker:
      false
    }
  }

  static let relayed = allCases.filter(\.isRelayed)
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
