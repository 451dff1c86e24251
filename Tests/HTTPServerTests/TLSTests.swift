import Foundation
import HTTPServer
import HTTPTestSupport
import NIOCore
import NIOSSL
import Testing

/// A folder with the certificate and key that a server is to use; gone when `body` returns.
private struct CertificateFolder {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-tls-\(UUID().uuidString)")
  var certificate: String { url.appendingPathComponent("cert.pem").path }
  var key: String { url.appendingPathComponent("key.pem").path }

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

  static func fixture(_ name: String) -> URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)")
  }

  func install(_ name: String) throws {
    try Data(contentsOf: Self.fixture("\(name).cert.pem")).write(to: URL(fileURLWithPath: certificate))
    try Data(contentsOf: Self.fixture("\(name).key.pem")).write(to: URL(fileURLWithPath: key))
  }

  func remove() { try? FileManager.default.removeItem(at: url) }
}

/// A client that trusts the one certificate only.
private func connect(_ port: Int, trusting name: String) async throws -> RawClient {
  var configuration = TLSConfiguration.makeClientConfiguration()
  configuration.trustRoots = .file(CertificateFolder.fixture("\(name).cert.pem").path)
  let context = try NIOSSLContext(configuration: configuration)
  return try await RawClient.connect(port) { channel in
    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: "localhost"))
  }
}

private let lastRequest = "POST /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"

@Suite(.timeLimit(.minutes(5))) struct TLSTests {
  @Test func `A request comes and its answer goes over TLS, and a new certificate serves without a restart`()
    async throws
  {
    let folder = try CertificateFolder()
    defer { folder.remove() }
    try folder.install("one")
    let tls = try TLSFiles(certificate: folder.certificate, key: folder.key)
    try await withServer(Recorder(), tls: tls) { server in
      func isAnswered(trusting name: String) async throws -> Bool {
        let client = try await connect(server.port, trusting: name)
        client.send(lastRequest)
        let answer = await client.receiveAll()
        return answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix("\r\n\r\nabc")
      }
      let before = (try await isAnswered(trusting: "one"), try await isAnswered(trusting: "two"))
      #expect(before == (true, false))
      #expect(try !tls.refresh())
      try folder.install("two")
      #expect(try tls.refresh())
      let after = (try await isAnswered(trusting: "one"), try await isAnswered(trusting: "two"))
      #expect(after == (false, true))
      // Half of a change: the certificate of one with the key of the other.
      try FileManager.default.removeItem(atPath: folder.key)
      #expect(throws: TLSFilesError.self) { try tls.refresh() }
      let isStillAnswered = try await isAnswered(trusting: "two")
      #expect(isStillAnswered)
    }
  }

  @Test func `A client that speaks plain HTTP to TLS gets nothing`() async throws {
    let tls = try TLSFiles(
      certificate: CertificateFolder.fixture("one.cert.pem").path, key: CertificateFolder.fixture("one.key.pem").path)
    let recorder = Recorder()
    try await withServer(recorder, tls: tls) { server in
      let client = try await RawClient.connect(server.port)
      client.send(lastRequest)
      let answer = await client.receiveAll()
      #expect(client.isClosed && !answer.contains("HTTP") && recorder.requests.entries.isEmpty)
    }
  }

  @Test func `What is no certificate is refused at the start, with its name`() throws {
    let path = CertificateFolder.fixture("README.md").path
    #expect { try TLSFiles(certificate: path, key: path) } throws: { "\($0)".contains("README.md") }
  }
}
