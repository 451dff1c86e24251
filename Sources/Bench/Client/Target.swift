import Foundation

/// Where requests go, and how they are worded there.
package struct Target: Sendable, Equatable {
  package var base: BaseURL
  /// Path of the URL, with its slash.
  package var endpoint: String
  package var api: API
  /// As the server knows it.
  package var model: String
  /// Sent with every request.
  package var headers: [Field] = []
  /// Whether the server's certificate is checked.
  package var checksCertificate = true

  package init(base: BaseURL, endpoint: String? = nil, api: API, model: String) {
    self.base = base
    self.endpoint = endpoint ?? api.usualEndpoint
    self.api = api
    self.model = model
  }

  package var url: String { base.description + endpoint }

  package struct Field: Sendable, Equatable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package enum API: Sendable, Equatable {
    case completions
    case chat

    package var usualEndpoint: String {
      switch self {
      case .completions: "/v1/completions"
      case .chat: "/v1/chat/completions"
      }
    }
  }
}

/// `http://host:port/prefix`, taken apart.
package struct BaseURL: Sendable, Equatable, CustomStringConvertible {
  package var isSecure: Bool
  package var host: String
  package var port: Int
  /// In front of every path; empty, or with its slash.
  package var prefix: String

  package init(isSecure: Bool = false, host: String, port: Int, prefix: String = "") {
    self.isSecure = isSecure
    self.host = host
    self.port = port
    self.prefix = prefix
  }

  /// - Returns: nil if `text` is no http or https URL of a host, or has a query, a fragment or a user.
  package init?(_ text: String) {
    guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(), let host = parts.host,
      !host.isEmpty, scheme == "http" || scheme == "https", parts.query == nil, parts.fragment == nil, parts.user == nil
    else { return nil }
    let path = parts.percentEncodedPath
    self.init(
      isSecure: scheme == "https", host: host.trimmingCharacters(in: ["[", "]"]),
      port: parts.port ?? (scheme == "https" ? 443 : 80), prefix: path.hasSuffix("/") ? String(path.dropLast()) : path)
  }

  /// What the Host field says.
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  package var description: String { "\(isSecure ? "https" : "http")://\(authority)\(prefix)" }
}
