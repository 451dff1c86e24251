import NIOHTTP1

/// What a method and a path ask for.
enum Route: Equatable {
  case health, ready, ping, version, load, metrics, openAPI
  case models
  case model(String)
  case tokenize, detokenize
  case completions, chatCompletions, responses, messages, embeddings
  /// A router's word that nobody will pull a handoff.
  case releaseHandoff
  /// The worker is to take other requests than so far.
  case changeRole
  case resetPrefixCache

  enum Lookup: Equatable {
    case found(Route)
    case methodNotAllowed(allow: String)
    case notFound
  }

  /// Probes and scrapers hold no key.
  var isOpen: Bool {
    switch self {
    case .health, .ready, .ping, .version, .load, .metrics, .openAPI: true
    case .models, .model, .tokenize, .detokenize, .completions, .chatCompletions, .responses, .messages, .embeddings,
      .releaseHandoff, .changeRole, .resetPrefixCache:
      false
    }
  }

  /// For the label `handler`.
  var pattern: String {
    switch self {
    case .health: "/health"
    case .ready: "/ready"
    case .ping: "/ping"
    case .version: "/version"
    case .load: "/load"
    case .metrics: "/metrics"
    case .models: "/v1/models"
    case .model: "/v1/models/{name}"
    case .tokenize: "/tokenize"
    case .detokenize: "/detokenize"
    case .completions: "/v1/completions"
    case .chatCompletions: "/v1/chat/completions"
    case .responses: "/v1/responses"
    case .messages: "/v1/messages"
    case .embeddings: "/v1/embeddings"
    case .releaseHandoff: "/kv/release"
    case .changeRole: "/kv/role"
    case .resetPrefixCache: "/reset_prefix_cache"
    case .openAPI: "/openapi.json"
    }
  }

  private static let exact: [String: Route] = {
    let routes: [Route] = [
      .health, .ready, .ping, .version, .load, .metrics, .models, .tokenize, .detokenize, .completions,
      .chatCompletions, .responses, .messages, .embeddings, .releaseHandoff, .changeRole,
      .resetPrefixCache, .openAPI,
    ]
    return Dictionary(uniqueKeysWithValues: routes.map { ($0.pattern, $0) })
  }()

  /// Every `pattern`.
  static let all = exact.keys.sorted() + ["/v1/models/{name}"]

  private static let modelPrefix = "/v1/models/"

  static func find(_ method: HTTPMethod, _ path: String) -> Lookup {
    let route: Route
    if let exact = exact[path] {
      route = exact
    } else if path.hasPrefix(modelPrefix), path.count > modelPrefix.count {
      // A served name may hold slashes, as those of the Hugging Face hub do.
      guard let name = String(path.dropFirst(modelPrefix.count)).percentDecoded else { return .notFound }
      route = .model(name)
    } else {
      return .notFound
    }
    let allowed = route.methods
    guard allowed.contains(method) else {
      return .methodNotAllowed(allow: allowed.map(\.rawValue).joined(separator: ", "))
    }
    return .found(route)
  }

  private var methods: [HTTPMethod] {
    switch self {
    case .tokenize, .detokenize, .completions, .chatCompletions, .responses, .messages, .embeddings, .releaseHandoff,
      .changeRole, .resetPrefixCache:
      [.POST]
    case .ping: [.GET, .POST]
    default: [.GET]
    }
  }
}

extension String {
  /// nil if a `%` is not followed by two hex digits, or the bytes are no UTF-8.
  fileprivate var percentDecoded: String? {
    var bytes: [UInt8] = []
    var rest = Substring(self).utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
