import HTTPServer
import NIOHTTP1
import Testing

@Suite struct CORSPolicyTests {
  private static func preflight(_ origin: String, method: String = "POST", headers: String? = nil) -> HTTPRequest {
    var fields: HTTPHeaders = ["origin": origin, "access-control-request-method": method]
    if let headers { fields.add(name: "access-control-request-headers", value: headers) }
    return HTTPRequest(method: .OPTIONS, path: "/v1/completions", headers: fields)
  }

  private static func policy(_ change: (inout CORSPolicy) -> Void) -> CORSPolicy {
    var policy = CORSPolicy()
    change(&policy)
    return policy
  }

  private static let strict = policy {
    $0.origins = ["https://a"]
    $0.methods = ["GET"]
    $0.headers = ["X-A"]
  }

  @Test func `Without a list everything is allowed, as vLLM has it`() {
    #expect(
      CORSPolicy().preflight(Self.preflight("https://a", headers: "X-B, X-C"))
        == .allowed([
          "access-control-allow-origin": "*",
          "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
          "access-control-max-age": "600", "access-control-allow-headers": "x-b, x-c",
        ]))
  }

  @Test(arguments: [
    (preflight("https://a", method: "GET"), nil),
    (preflight("https://a", method: "GET", headers: "x-a, Content-Type"), nil),
    (preflight("https://b", method: "GET"), "origin"),
    (preflight("https://a", method: "POST"), "method"),
    (preflight("https://b", method: "PUT", headers: "x-b"), "origin, method, headers"),
  ])
  func `What is not in the lists is refused and named`(request: HTTPRequest, refused: String?) {
    let answer = Self.strict.preflight(request)
    if let refused {
      #expect(answer == .refused(what: refused))
    } else {
      guard case .allowed = answer else {
        Issue.record("refused: \(String(describing: answer))")
        return
      }
    }
  }

  @Test func `An OPTIONS that no browser sent is no preflight`() {
    #expect(CORSPolicy().preflight(HTTPRequest(method: .OPTIONS, path: "/")) == nil)
    #expect(CORSPolicy().preflight(HTTPRequest(method: .POST, path: "/", headers: ["origin": "https://a"])) == nil)
  }

  @Test func `With credentials the origin is named, because a browser takes no star for it`() {
    let policy = Self.policy { $0.allowsCredentials = true }
    #expect(
      policy.answerFields(origin: "https://a") == [
        "access-control-allow-origin": "https://a", "vary": "Origin", "access-control-allow-credentials": "true",
      ])
    #expect(Self.strict.answerFields(origin: "https://b") == [:])
  }
}
