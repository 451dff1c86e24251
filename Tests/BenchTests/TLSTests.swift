import Bench
import Foundation
import HTTPServer
import Testing

@Suite(.timeLimit(.minutes(5)))
struct TLSTests {
  @Test func `A certificate that nobody signed is refused, unless --insecure says otherwise`() async throws {
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("HTTPServerTests/Fixtures")
    let tls = try TLSFiles(
      certificate: fixtures.appendingPathComponent("one.cert.pem").path,
      key: fixtures.appendingPathComponent("one.key.pem").path)
    try await ScriptedServer.run({ _ in .streams(ScriptedServer.answer) }, tls: tls) { _, target in
      var target = target
      let refused = try await benchmark(.of(1), against: target, options: RunOptions())[0]
      #expect(refused.outcome == .connect && refused.error?.contains("TLS handshake failed") == true)
      target.checksCertificate = false
      let record = try await benchmark(.of(1), against: target, options: RunOptions())[0]
      #expect(record.outcome == .ok && record.chunkTimes.count == 2)
    }
  }
}
