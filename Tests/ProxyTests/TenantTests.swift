import HTTPTestSupport
import Proxy
import ServingAPI
import Testing

/// What one client's key keeps from another's, and the limit that an endpoint has a name of its own for.
@Suite(.timeLimit(.minutes(5))) struct TenantTests {
  private static func salt(_ body: String) -> BodyValue? { try? BodyParser.parse(Array(body.utf8))["cache_salt"] }

  @Test func `Both legs bear a salt of the client's key, and of its own salt`() async throws {
    try await Deployment.run(configure: { $0.clientKeys = ["one", "two"] }) { deployment in
      let asked = [
        ("Authorization: Bearer one", #"{"prompt":"x"}"#), ("x-api-key: one", #"{"prompt":"x","cache_salt":null}"#),
        ("Authorization: Bearer two", #"{"prompt":"x"}"#),
        ("Authorization: Bearer one", #"{"prompt":"x","cache_salt":"s"}"#),
        ("Authorization: Bearer two", #"{"prompt":"x","cache_salt":"s"}"#),
      ]
      for (field, body) in asked { _ = try await deployment.post(body, fields: "\(field)\r\n") }
      let salts = deployment.prefillers[0].bodies.map(Self.salt)
      #expect(salts == deployment.decoders[0].bodies.map(Self.salt))
      #expect(salts[0] != nil && salts[0] == salts[1] && Set(salts.compactMap { $0?.stringValue }).count == 4)
      #expect(salts.allSatisfy { $0?.stringValue?.contains("one") == false })
    }
  }

  @Test func `Where nobody needs a key, nothing is salted`() async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(#"{"prompt":"x"}"#, fields: "Authorization: Bearer one\r\n")
      #expect(deployment.prefillers[0].bodies.map(Self.salt) == [nil])
    }
  }

  @Test func `An embedding is a prefiller's, or else a decoder's, and bears the key's salt`() async throws {
    try await Deployment.run(configure: { $0.clientKeys = ["one"] }) { deployment in
      let body = #"{"input":"x","kv_transfer_params":{"a":1}}"#
      func status() async throws -> Substring {
        try await deployment.post(body, path: "/v1/embeddings", fields: "x-api-key: one\r\n").head.prefix(12)
      }
      let first = try await status()
      #expect(first == "HTTP/1.1 200" && deployment.prefillers[0].bodies.count == 1)
      #expect(deployment.decoders[0].bodies.isEmpty)
      deployment.prefillers[0].play(.closesBeforeHead)
      let second = try await status()
      #expect(second == "HTTP/1.1 200")
      let sent = deployment.prefillers[0].bodies + deployment.decoders[0].bodies
      #expect(deployment.decoders[0].bodies.count == 1 && sent.allSatisfy { Self.salt($0) != nil })
      #expect(sent.allSatisfy { $0.hasPrefix(#"{"input":"x","cache_salt":"#) })
    }
  }

  @Test(arguments: [("/v1/responses", "max_output_tokens"), ("/v1/messages", "max_tokens")])
  func `A prefill of any endpoint is of one token`(path: String, limit: String) async throws {
    try await Deployment.run { deployment in
      _ = try await deployment.post(#"{"messages":[],"\#(limit)":9,"stream":true}"#, path: path)
      let prefill = try #require(deployment.prefillers[0].bodies.first)
      #expect(prefill.hasPrefix(#"{"messages":[],"\#(limit)":1,"stream":false,"kv_transfer_params":"#))
      #expect(deployment.decoders[0].bodies.count == 1)
    }
  }
}
