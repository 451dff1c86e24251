import NIOHTTP1

/// Which pages of other origins a browser lets use the server (the Fetch standard's CORS protocol). The defaults and the
/// answers are those of vLLM's server.
package struct CORSPolicy: Sendable, Equatable {
  /// `*` stands for any, in each of the lists.
  package var origins = ["*"]
  package var methods = ["*"]
  package var headers = ["*"]
  package var allowsCredentials = false

  package init() {}

  package enum Preflight: Equatable {
    case allowed(HTTPHeaders)
    /// - Parameter what: Was asked for and is not allowed: `origin, method`.
    case refused(what: String)
  }

  /// - Returns: nil if the request is no preflight.
  package func preflight(_ request: HTTPRequest) -> Preflight? {
    guard request.method == .OPTIONS, let origin = request.headers.first(name: "origin"),
      let method = request.headers.first(name: "access-control-request-method")
    else { return nil }
    let asked = request.headers[canonicalForm: "access-control-request-headers"].map { $0.lowercased() }
    var refused: [String] = []
    if !allows(origin: origin) { refused.append("origin") }
    if !methods.contains("*"), !methods.contains(method) { refused.append("method") }
    if !headers.contains("*") {
      let known = Set(
        headers.map { $0.lowercased() } + ["accept", "accept-language", "content-language", "content-type"])
      if !asked.allSatisfy({ known.contains($0) }) { refused.append("headers") }
    }
    guard refused.isEmpty else { return .refused(what: refused.joined(separator: ", ")) }
    var fields = answerFields(origin: origin)
    let allMethods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    fields.add(
      name: "access-control-allow-methods", value: methods.contains("*") ? allMethods : methods.joined(separator: ", "))
    fields.add(name: "access-control-max-age", value: "600")
    let allowed = headers.contains("*") ? asked.joined(separator: ", ") : headers.joined(separator: ", ")
    if !allowed.isEmpty { fields.add(name: "access-control-allow-headers", value: allowed) }
    return .allowed(fields)
  }

  /// The fields of any answer to a request from `origin`; none if it may not read it.
  package func answerFields(origin: String) -> HTTPHeaders {
    guard allows(origin: origin) else { return [:] }
    // With credentials a browser takes no `*` for an answer.
    if origins.contains("*"), !allowsCredentials { return ["access-control-allow-origin": "*"] }
    var fields: HTTPHeaders = ["access-control-allow-origin": origin, "vary": "Origin"]
    if allowsCredentials { fields.add(name: "access-control-allow-credentials", value: "true") }
    return fields
  }

  private func allows(origin: String) -> Bool { origins.contains("*") || origins.contains(origin) }
}
