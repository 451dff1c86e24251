import Foundation
import HTTPTestSupport
import Testing

@Suite struct DashboardTests {
  @Test func `The page asks for what is there, and for nothing from elsewhere`() async throws {
    try await Deployment.run { deployment in
      let page = try await deployment.get("/")
      #expect(page.head.hasPrefix("HTTP/1.1 200 ") && page.head.contains("content-type: text/html"))
      #expect(page.head.contains("default-src 'none'") && !page.body.contains("://"))
      let asked = page.body.matches(of: #/fetch\(["`](?<path>[^"`]+)["`]\)/#).map { String($0.output.path) }
      #expect(asked.count >= 3)
      for path in asked {
        let answer = try await deployment.get("/" + path.replacing("${worker.name}", with: "prefiller1"))
        #expect(answer.head.hasPrefix("HTTP/1.1 200 "), "\(path)")
      }
    }
  }

  @Test func `A worker's metrics come through the proxy, without a key`() async throws {
    try await Deployment.run(
      prefillers: [.status(500)], decoders: [nil, .answers], configure: { $0.clientKeys = ["secret"] }
    ) { deployment in
      let there = try await deployment.get("/workers/decoder2/metrics")
      #expect(there.head.hasPrefix("HTTP/1.1 200 ") && there.body.contains(#""text":"d2""#))
      #expect(deployment.decoders[1].requests.entries.map(\.path) == ["/metrics"])
      for (worker, status) in [("prefiller1", 502), ("decoder1", 503)] {
        let answer = try await deployment.get("/workers/\(worker)/metrics")
        #expect(answer.head.hasPrefix("HTTP/1.1 \(status) "))
      }
    }
  }

  @Test(arguments: ["/workers/decoder9/metrics", "/workers/decoder1/health", "/workers/decoder1/metrics/", "/workers"])
  func `No other path leads to a worker`(path: String) async throws {
    try await Deployment.run { deployment in
      let answer = try await deployment.get(path)
      #expect(answer.head.hasPrefix("HTTP/1.1 404 "))
      #expect(deployment.decoders[0].requests.entries.isEmpty)
    }
  }
}
