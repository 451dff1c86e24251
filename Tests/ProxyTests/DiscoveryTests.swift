import Foundation
import HTTPServer
import HTTPTestSupport
import Proxy
import Synchronization
import Testing

private typealias Report = Result<[WorkerEndpoint], DiscoveryError>

extension WorkerDiscovery {
  /// Runs it as long as `body` does, which sees every report.
  fileprivate func during(_ body: (Log<Report>) async throws -> Void) async throws {
    let reports = Log<Report>()
    let task = Task { await run { reports.add($0) } }
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(reports)) } catch { outcome = .failure(error) }
    task.cancel()
    await task.value
    try outcome.get()
  }
}

private func decoder(_ host: String, _ port: Int = 8200) -> WorkerEndpoint {
  WorkerEndpoint(.decode, WorkerAddress(host: host, port: port))
}

private let quick = {
  var backoff = Backoff()
  (backoff.first, backoff.longest) = (.milliseconds(1), .milliseconds(2))
  return backoff
}()

@Suite(.timeLimit(.minutes(5))) struct DiscoveryTests {
  @Test func `A file is read again when it changes, and a bad one changes nothing`() async throws {
    struct BadFile: Error {}
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data("a".utf8).write(to: URL(fileURLWithPath: path))
    let discovery = FileDiscovery(path: path, interval: .milliseconds(2)) {
      let text = try String(contentsOfFile: $0, encoding: .utf8)
      guard !text.isEmpty, text != "bad" else { throw BadFile() }
      return [decoder(text)]
    }
    try await discovery.during { reports in
      await reports.wait(for: 1)
      // By rename, so that no half of it is read.
      for (text, count) in [("bad", 2), ("bb", 3)] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        await reports.wait(for: count)
      }
      #expect(reports.entries[0] == .success([decoder("a")]) && reports.entries[2] == .success([decoder("bb")]))
      guard case .failure(.file(path, _)) = reports.entries[1] else { return #expect(Bool(false)) }
    }
  }

  @Test func `Each address of a name is a worker, and a name that does not resolve changes nothing`() async throws {
    let answers = Mutex<[[String: [String]]]>([
      ["p": ["10.0.0.1"], "d": ["10.0.1.1", "10.0.1.2"]], ["p": ["10.0.0.1"]], ["p": ["10.0.0.9"], "d": []],
    ])
    let names = [WorkerEndpoint(.prefill, WorkerAddress(host: "p", port: 8100)), decoder("d")]
    let discovery = DNSDiscovery(names: names, interval: .milliseconds(1)) { host throws(DiscoveryError) in
      let answer = answers.withLock { answers in
        defer { if host == "d", answers.count > 1 { answers.removeFirst() } }
        return answers[0][host]
      }
      guard let answer else { throw .unresolved(host: host, reason: "no such name") }
      return answer
    }
    try await discovery.during { reports in
      await reports.wait(for: 3)
      let first = [WorkerEndpoint(.prefill, WorkerAddress(host: "10.0.0.1", port: 8100))]
      #expect(reports.entries[0] == .success(first + [decoder("10.0.1.1"), decoder("10.0.1.2")]))
      #expect(reports.entries[1] == .failure(.unresolved(host: "d", reason: "no such name")))
      #expect(reports.entries[2] == .success([WorkerEndpoint(.prefill, WorkerAddress(host: "10.0.0.9", port: 8100))]))
    }
  }

  @Test func `The system's resolver gives addresses, IPv4 alone where there are both, or says what is wrong`()
    async throws
  {
    #expect(try await SystemResolver.addresses(of: "127.0.0.1") == ["127.0.0.1"])
    #expect(try await SystemResolver.addresses(of: "::1") == ["::1"])
    await #expect(throws: DiscoveryError.self) { try await SystemResolver.addresses(of: "no host.invalid") }
  }
}

@Suite(.timeLimit(.minutes(5))) struct KubernetesDiscoveryTests {
  private static let ready = #""ready":true"#

  private static func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("HTTPServerTests/Fixtures/\(name)").path
  }

  private static func discovery(
    _ api: KubernetesAPI, _ selectors: [KubernetesDiscovery.Selector] = [.init([.decode], "app=decoder")]
  ) -> KubernetesDiscovery { KubernetesDiscovery(api, selectors: selectors, backoff: quick) }

  @Test func `It lists, then watches from there on, and reports what has changed`() async throws {
    try await FakeKubernetesAPI.run { fake, url in
      fake.list(version: 41, FakeKubernetesAPI.slice("s1", [("10.0.0.1", Self.ready)]))
      let api = KubernetesAPI(url: url, namespace: "serving")
      try await Self.discovery(api, [.init([.decode], "app=decoder,tier in (gold)")]).during { reports in
        await fake.watches.wait(for: 1)
        fake.tell("ADDED", FakeKubernetesAPI.slice("s2", version: 42, [("10.0.0.2", Self.ready)]))
        await reports.wait(for: 2)
        fake.tell("BOOKMARK", #"{"metadata":{"resourceVersion":"43"}}"#)
        fake.tell("DELETED", FakeKubernetesAPI.slice("s1", version: 44, []), endsWatch: true)
        await fake.watches.wait(for: 2)
        await reports.wait(for: 3)
        #expect(
          reports.entries.prefix(3) == [
            .success([decoder("10.0.0.1")]), .success([decoder("10.0.0.1"), decoder("10.0.0.2")]),
            .success([decoder("10.0.0.2")]),
          ])
        let (list, first, second) = (
          fake.requests.entries[0], fake.requests.entries[1].query, fake.requests.entries[2].query
        )
        #expect(list.path == "/apis/discovery.k8s.io/v1/namespaces/serving/endpointslices")
        #expect(list.query == "labelSelector=app%3Ddecoder%2Ctier%20in%20%28gold%29")
        #expect(list.headers["authorization"].isEmpty)
        #expect(first?.contains("resourceVersion=41") == true && second?.contains("resourceVersion=44") == true)
      }
    }
  }

  @Test func `What is too long ago is listed anew, without a failure`() async throws {
    try await FakeKubernetesAPI.run { fake, url in
      fake.list(version: 1, FakeKubernetesAPI.slice("s1", [("10.0.0.1", Self.ready)]))
      try await Self.discovery(KubernetesAPI(url: url, namespace: "n")).during { reports in
        await fake.watches.wait(for: 1)
        fake.list(version: 9, FakeKubernetesAPI.slice("s9", [("10.0.0.9", Self.ready)]))
        fake.tell("ERROR", #"{"kind":"Status","code":410,"message":"too old resource version"}"#)
        await reports.wait(for: 2)
        #expect(reports.entries.prefix(2) == [.success([decoder("10.0.0.1")]), .success([decoder("10.0.0.9")])])
      }
    }
  }

  @Test(arguments: [FakeKubernetesAPI.Script.refuses(403), .refuses(500), .breaksOff])
  func `A server that fails is told of and asked again`(script: FakeKubernetesAPI.Script) async throws {
    try await FakeKubernetesAPI.run { fake, url in
      fake.play(script)
      try await Self.discovery(KubernetesAPI(url: url, namespace: "n")).during { reports in
        await reports.wait(for: 2)
        for report in reports.entries.prefix(2) { #expect(throws: DiscoveryError.self) { try report.get() } }
        fake.play(.answers)
        await fake.watches.wait(for: 1)
        #expect(reports.entries.last == .success([]))
      }
    }
  }

  @Test func `There is a list once every role has one, and the token goes along over TLS`() async throws {
    let token = FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-\(UUID().uuidString)").path
    try Data("secret\n".utf8).write(to: URL(fileURLWithPath: token))
    defer { try? FileManager.default.removeItem(atPath: token) }
    let tls = try TLSFiles(certificate: Self.fixture("one.cert.pem"), key: Self.fixture("one.key.pem"))
    try await FakeKubernetesAPI.run(tls: tls) { fake, url in
      fake.list(version: 1, FakeKubernetesAPI.slice("s", [("10.0.0.1", Self.ready)]))
      var api = KubernetesAPI(
        url: url, namespace: "n", tokenFile: token, certificateAuthority: Self.fixture("one.cert.pem"))
      let selectors = [KubernetesDiscovery.Selector([.prefill], "a=p"), .init([.prefill, .decode], "a=b")]
      try await Self.discovery(api, selectors).during { reports in
        await reports.wait(for: 1)
        let address = WorkerAddress(host: "10.0.0.1", port: 8200)
        let found = [
          WorkerEndpoint(.prefill, address), WorkerEndpoint(.prefill, address), WorkerEndpoint(.decode, address),
        ]
        #expect(reports.entries[0] == .success(found))
        #expect(fake.requests.entries[0].headers["authorization"] == ["Bearer secret"])
      }
      // A server that somebody else vouches for gets no token.
      let asked = fake.requests.entries.count
      api.certificateAuthority = Self.fixture("two.cert.pem")
      try await Self.discovery(api).during { reports in
        await reports.wait(for: 1)
        #expect(throws: DiscoveryError.self) { try reports.entries[0].get() }
      }
      #expect(fake.requests.entries.count == asked)
    }
  }

  @Test func `The proxy's workers come and go with the pods, and one that goes ends its stream`() async throws {
    try await FakeKubernetesAPI.run { fake, url in
      let scripts: [MockWorker.Script?] = [.hangsBeforeHead, .answers]
      try await Deployment.run(
        decoders: scripts,
        configure: { configuration in
          let ports = configuration.decoders.map(\.port)
          func slice(_ index: Int) -> String {
            FakeKubernetesAPI.slice("s\(index)", port: ports[index], [("127.0.0.1", Self.ready)])
          }
          fake.list(version: 1, slice(0))
          configuration.decoders = []
          configuration.discovery = Self.discovery(KubernetesAPI(url: url, namespace: "n"))
        }
      ) { deployment in
        while try await !deployment.get("/ready").head.hasPrefix("HTTP/1.1 200") {}
        async let first = deployment.post(#"{"prompt":"x","max_tokens":5}"#)
        await deployment.decoders[0].requests.wait(for: 1)
        let port = deployment.decoderAddresses[1].port
        fake.tell("ADDED", FakeKubernetesAPI.slice("s1", port: port, [("127.0.0.1", Self.ready)]))
        fake.tell("DELETED", FakeKubernetesAPI.slice("s0", []))
        while try await !deployment.get("/stats").body.contains(#""fault":"leaving""#) {}
        for _ in 0..<3 {
          let answer = try await deployment.post(#"{"prompt":"x","max_tokens":5}"#)
          #expect(answer.body.contains(#""text":"d2""#))
        }
        await deployment.decoders[0].endHanging(200)
        #expect(try await first.head.hasPrefix("HTTP/1.1 200"))
        while try await deployment.get("/stats").body.contains("leaving") {}
        #expect(deployment.decoders[0].bodies.count == 1)
        #expect(try await deployment.get("/stats").body.contains(#""source":"discovery""#))
      }
    }
  }
}

@Suite struct EndpointSlicesTests {
  private static func addresses(_ items: String...) throws -> [String] {
    var slices = EndpointSlices(portName: "http")
    try slices.list(Array(#"{"metadata":{"resourceVersion":"1"},"items":[\#(items.joined(separator: ","))]}"#.utf8))
    return slices.addresses.map(\.description)
  }

  @Test(arguments: [
    (#""ready":true"#, true), ("", true), (#""ready":null"#, true), (#""ready":false"#, false),
    (#""ready":true,"serving":true,"terminating":true"#, false),
    (#""ready":false,"serving":true,"terminating":true"#, false),
  ])
  func `A pod counts if it is ready and is not about to end`(conditions: String, counts: Bool) throws {
    let found = try Self.addresses(FakeKubernetesAPI.slice("s", [("10.0.0.1", conditions)]))
    #expect(found == (counts ? ["10.0.0.1:8200"] : []))
  }

  @Test func `A pod with two addresses is one worker, and one in two slices, too`() throws {
    let ipv4 = FakeKubernetesAPI.slice("a", [("10.0.0.1", "")])
    let again = FakeKubernetesAPI.slice("b", [("10.0.0.1", ""), ("10.0.0.2", "")])
    let ipv6 = FakeKubernetesAPI.slice("c", type: "IPv6", [("fd00::1", "")])
    #expect(try Self.addresses(ipv6, ipv4, again) == ["10.0.0.1:8200", "10.0.0.2:8200"])
    #expect(try Self.addresses(ipv6) == ["[fd00::1]:8200"])
  }

  @Test func `Of a slice the port named http counts, else the first, and without one nobody`() throws {
    let named = FakeKubernetesAPI.slice("a", port: 8100, [("h", "")])
    #expect(try Self.addresses(named) == ["h:8100"])
    #expect(try Self.addresses(named.replacing(#""name":"http""#, with: #""name":"web""#)) == ["h:5600"])
    let none = #"{"metadata":{"name":"a"},"endpoints":[{"addresses":["h"]}],"ports":[]}"#
    #expect(try Self.addresses(none) == [])
  }

  @Test(arguments: [
    "", "[]", "{}", #"{"items":[]}"#, #"{"items":{},"metadata":{"resourceVersion":"1"}}"#, #"{"items":["#,
  ])
  func `What is no list is an error`(body: String) {
    var slices = EndpointSlices(portName: "http")
    #expect(throws: DiscoveryError.self) { try slices.list(Array(body.utf8)) }
  }

  @Test(arguments: [
    #"{"addresses":["a b"]}"#, #"{"addresses":["h\r\nx: y"]}"#, #"{"addresses":[]}"#, #"{"addresses":7}"#, "7", "null",
  ])
  func `An endpoint that names no host is left out`(endpoint: String) throws {
    let slice = #"{"metadata":{"name":"s"},"endpoints":[\#(endpoint)],"ports":[{"port":1}]}"#
    #expect(try Self.addresses(slice) == [])
  }

  @Test(arguments: [
    ("http://localhost:8001", "localhost:8001", ""), ("https://[fd00::1]:6443/k8s", "[fd00::1]:6443", "/k8s"),
    ("https://api", "api:443", ""), ("http://collector/v1/traces", "collector:80", "/v1/traces"),
  ])
  func `A URL has a host, a port by its scheme, and a path`(text: String, address: String, path: String) throws {
    let url = try #require(OutboundURL(text))
    #expect(url.address.description == address && url.path == path && url.isSecure == text.hasPrefix("https"))
  }

  @Test(arguments: [
    "", "localhost:80", "ftp://h", "http://", "http://h:x", "http://h:80?q", "http://a b", "http://h:80\r\n",
  ])
  func `What is no URL is none`(text: String) { #expect(OutboundURL(text) == nil) }
}
