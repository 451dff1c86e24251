import HTTPServer
import HTTPTestSupport
import Logging
import NIOCore
import NIOPosix
import Proxy
import ServingAPI
import Testing

private let plain = #"{"prompt":"x","max_tokens":5}"#
private let streamed = #"{"prompt":"x","max_tokens":8,"temperature":0,"stream":true}"#

extension Deployment {
  /// - Returns: Status and body of a request to `/admin/workers` and what stands below it.
  fileprivate func administer(
    _ method: String, _ below: String = "", _ body: String = "", key: String = "admin"
  ) async throws -> (status: Int, body: String) {
    let client = try await client()
    client.send(
      "\(method) /admin/workers\(below) HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer \(key)\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    let answer = Self.split(await client.receiveAll())
    return (Int(answer.head.split(separator: " ")[1]) ?? 0, answer.body)
  }

  /// Waits until the list of workers is as it should be.
  fileprivate func waitForWorkers(_ isAsItShould: (String) -> Bool) async throws {
    while try await !isAsItShould(administer("GET").body) {}
  }
}

/// One more worker than the deployment began with.
private func withWorker(_ worker: MockWorker, _ body: (WorkerAddress) async throws -> Void) async throws {
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  let server = try await HTTPServer.start(
    host: "127.0.0.1", port: 0, group: .singletonMultiThreadedEventLoopGroup, logger: logger, responder: worker)
  let outcome: Result<Void, any Error>
  do { outcome = .success(try await body(WorkerAddress(host: "127.0.0.1", port: server.port))) } catch {
    outcome = .failure(error)
  }
  await server.shutdown(grace: .zero)
  try outcome.get()
}

private func asAdmin(_ configuration: inout ProxyConfiguration) { configuration.adminKeys = ["admin"] }

@Suite(.timeLimit(.minutes(5))) struct WorkerAdministrationTests {
  @Test func `Without an admin key it is off and says so, and a client's key is none`() async throws {
    try await Deployment.run(configure: { $0.clientKeys = ["client"] }) { deployment in
      let off = try await deployment.administer("GET", key: "client")
      #expect(off.status == 403 && off.body.contains("--admin-key"))
    }
    try await Deployment.run(configure: {
      asAdmin(&$0)
      $0.clientKeys = ["client"]
    }) { deployment in
      for (method, below) in [("GET", ""), ("POST", ""), ("DELETE", "/\(deployment.decoderAddresses[0])")] {
        let refused = try await deployment.administer(method, below, key: "client")
        #expect(refused.status == 401)
      }
      let listed = try await deployment.administer("GET")
      #expect(listed.status == 200 && listed.body.contains(#""name":"decoder1""#))
      #expect(listed.body.contains(#""source":"flags""#))
    }
  }

  @Test func `A worker that is added takes requests, and stands wherever workers stand`() async throws {
    try await Deployment.run(configure: asAdmin) { deployment in
      try await withWorker(MockWorker(.answers, name: "d2")) { address in
        let order = #"{"role":"decode","address":"http://\#(address)/"}"#
        let added = try await deployment.administer("POST", "", order)
        #expect(added.status == 201 && added.body.contains(#""name":"decoder2""#))
        try await deployment.waitForWorkers { !$0.contains("joining") }
        while try await !deployment.post(plain).body.contains(#""text":"d2""#) {}
        #expect(try await deployment.get("/v1/models").body.contains(#""id":"d2""#))
        #expect(try await deployment.get("/stats").body.contains("\(address)"))
        #expect(
          try await deployment.get("/metrics").body.contains(
            #"xpyd:proxy_worker_up{role="decode",worker="decoder2"} 1.0"#))
        #expect(try await deployment.get("/workers/decoder2/metrics").head.hasPrefix("HTTP/1.1 200"))
        // Once more changes nothing.
        _ = try await deployment.administer("POST", "", order)
        #expect(try await !deployment.administer("GET").body.contains("decoder3"))

        #expect(try await deployment.administer("DELETE", "/\(address)").status == 202)
        try await deployment.waitForWorkers { !$0.contains("decoder2") }
        for _ in 0..<3 { #expect(try await deployment.post(plain).body.contains(#""text":"d1""#)) }
        #expect(try await !deployment.get("/metrics").body.contains(#"worker_up{role="decode",worker="decoder2"}"#))
        #expect(try await deployment.administer("DELETE", "/\(address)").status == 404)
        // Its number is free again.
        #expect(try await deployment.administer("POST", "", order).body.contains(#""name":"decoder2""#))
      }
    }
  }

  @Test func `A worker that has not passed a check gets no request`() async throws {
    try await Deployment.run(configure: asAdmin) { deployment in
      let worker = MockWorker(.answers, name: "d2")
      worker.drain()
      try await withWorker(worker) { address in
        _ = try await deployment.administer("POST", "", #"{"role":"both","address":"\#(address)"}"#)
        let listed = try await deployment.administer("GET").body
        #expect(listed.contains(#""name":"prefiller2""#) && listed.contains(#""name":"decoder2""#))
        for _ in 0..<4 { #expect(try await deployment.post(plain).head.hasPrefix("HTTP/1.1 200")) }
        #expect(worker.bodies.isEmpty)
        let one = try await deployment.administer("DELETE", "/\(address)?role=prefill")
        #expect(one.status == 202 && !one.body.contains("decoder2"))
        try await deployment.waitForWorkers { !$0.contains("prefiller2") && $0.contains("decoder2") }
      }
    }
  }

  @Test func `A worker that is removed ends what runs on it, gets nothing new, and goes`() async throws {
    try await Deployment.run(decoders: [.hangsBeforeHead, .answers], configure: asAdmin) { deployment in
      async let first = deployment.post(plain)
      await deployment.decoders[0].requests.wait(for: 1)
      let removed = try await deployment.administer("DELETE", "/\(deployment.decoderAddresses[0])")
      #expect(removed.status == 202 && removed.body.contains(#""fault":"leaving","running":1"#))
      for _ in 0..<3 { #expect(try await deployment.post(plain).body.contains(#""text":"d2""#)) }
      #expect(try await deployment.administer("GET").body.contains("decoder1"))
      await deployment.decoders[0].endHanging(200)
      #expect(try await first.head.hasPrefix("HTTP/1.1 200"))
      try await deployment.waitForWorkers { !$0.contains("decoder1") }
      #expect(deployment.decoders[0].bodies.count == 1)
    }
  }

  @Test func `A prefiller that is removed stays as long as its KV is needed`() async throws {
    try await Deployment.run(prefillers: [.answers, .answers], decoders: [.hangsBeforeHead], configure: asAdmin) {
      deployment in
      async let first = deployment.post(plain)
      await deployment.decoders[0].requests.wait(for: 1)
      let workers = try await deployment.administer("GET").body
      let address = try #require(workers.firstMatch(of: /"name":"prefiller1","address":"([^"]*)"/)).output.1
      let removed = try await deployment.administer("DELETE", "/\(address)")
      #expect(removed.body.contains(#""fault":"leaving","running":0"#))
      #expect(try await deployment.administer("GET").body.contains("prefiller1"))
      await deployment.decoders[0].endHanging(200)
      _ = try await first
      try await deployment.waitForWorkers { !$0.contains("prefiller1") }
    }
  }

  @Test func `A stream on a worker whose time is over goes on on another`() async throws {
    try await Deployment.run(
      decoders: [.generates(.hangs(afterTokens: 3)), .generates(.whole)], configure: asAdmin
    ) { deployment in
      async let first = deployment.post(streamed)
      await deployment.decoders[0].requests.wait(for: 1)
      _ = try await deployment.administer("DELETE", "/\(deployment.decoderAddresses[0])?grace=0")
      let answer = try await first.body
      #expect(answer.contains(#""text":" 10""#) && answer.hasSuffix("data: [DONE]\n\n") && !answer.contains("error"))
      let label = #"xpyd:proxy_leg_failures_total{role="decode",error_type="removed"} 1.0"#
      #expect(try await deployment.get("/metrics").body.contains(label))
    }
  }

  @Test func `A prefill whose worker's time is over is run on another, also where both legs run at once`() async throws
  {
    for handoff in [HandoffKind.nixl, .sglang] {
      try await Deployment.run(
        prefillers: [.hangsBeforeHead, .answers], decoders: [.hangsOnce],
        configure: {
          asAdmin(&$0)
          $0.handoff = handoff
        }
      ) { deployment in
        if handoff == .nixl { deployment.decoders[0].play(.answers) }
        async let answer = deployment.post(plain)
        await deployment.prefillers[0].requests.wait(for: 1)
        let workers = try await deployment.administer("GET").body
        let address = try #require(workers.firstMatch(of: /"name":"prefiller1","address":"([^"]*)"/)).output.1
        _ = try await deployment.administer("DELETE", "/\(address)?grace=0")
        #expect(try await answer.body.contains(#""text":"d1""#), "\(handoff)")
        #expect(deployment.prefillers[1].bodies.count == 1)
      }
    }
  }

  @Test func `Without a worker left the proxy says so, and takes up the next one`() async throws {
    try await Deployment.run(configure: asAdmin) { deployment in
      let address = deployment.decoderAddresses[0]
      _ = try await deployment.administer("DELETE", "/\(address)?grace=0")
      try await deployment.waitForWorkers { !$0.contains("decoder1") }
      #expect(try await deployment.post(plain).head.hasPrefix("HTTP/1.1 503"))
      #expect(try await deployment.get("/ready").body.contains("decoder"))
      #expect(try await deployment.get("/metrics").body.contains(#"xpyd:proxy_workers{role="decode"} 0.0"#))
      _ = try await deployment.administer("POST", "", #"{"role":"decode","address":"\#(address)"}"#)
      while try await !deployment.post(plain).head.hasPrefix("HTTP/1.1 200") {}
    }
  }

  @Test(arguments: [200, 404])
  func `A worker that changes its role ends what runs on it, and takes requests in its new one`(
    answer: Int
  ) async throws {
    try await Deployment.run(decoders: [.hangsBeforeHead, .answers], configure: asAdmin) { deployment in
      let (worker, address) = (deployment.decoders[0], deployment.decoderAddresses[0])
      worker.roleAnswer.withLock { $0 = answer }
      async let first = deployment.post(plain)
      await worker.requests.wait(for: 1)
      let changed = try await deployment.administer("PATCH", "/\(address)", #"{"role":"prefill"}"#)
      #expect(changed.status == 202 && changed.body.contains(#""fault":"leaving","running":1"#))
      #expect(changed.body.contains(#""name":"prefiller2""#))
      #expect(worker.roles.entries == [#"{"kv_role":"kv_both"}"#])
      await worker.endHanging(200)
      #expect(try await first.head.hasPrefix("HTTP/1.1 200"))
      try await deployment.waitForWorkers { !$0.contains("decoder1") && !$0.contains("joining") }
      worker.play(.answers)
      while worker.bodies.count < 3 { #expect(try await deployment.post(plain).body.contains(#""text":"d2""#)) }
      #expect(worker.bodies[2].contains("do_remote_decode"))
    }
  }

  @Test func `A worker that refuses another role keeps its own, and one that has it already stays`() async throws {
    try await Deployment.run(configure: asAdmin) { deployment in
      let (worker, address) = (deployment.decoders[0], deployment.decoderAddresses[0])
      worker.roleAnswer.withLock { $0 = 409 }
      let refused = try await deployment.administer("PATCH", "/\(address)", #"{"role":"both"}"#)
      #expect(refused.status == 409 && refused.body.contains("\(address) does not change its role: 409"))
      worker.roleAnswer.withLock { $0 = 200 }
      let same = try await deployment.administer("PATCH", "/\(address)", #"{"role":"decode"}"#)
      #expect(same.status == 202 && !same.body.contains("leaving") && !same.body.contains("prefiller"))
      for body in ["{}", #"{"role":"decode","address":"h:1"}"#] {
        #expect(try await deployment.administer("PATCH", "/\(address)", body).status == 400)
      }
      #expect(try await deployment.administer("PATCH", "/h:1", #"{"role":"decode"}"#).status == 404)
      #expect(try await deployment.administer("PATCH", "/\(address)?role=decode", #"{"role":"both"}"#).status == 400)
    }
  }

  @Test(arguments: [
    #"{"role":"decode"}"#, #"{"role":"decoder","address":"h:1"}"#, #"{"role":"decode","address":"h"}"#,
    #"{"role":"decode","address":"h:1","weight":2}"#, #"["decode"]"#, "decode",
  ])
  func `An order that cannot be understood is refused`(body: String) async throws {
    try await Deployment.run(configure: asAdmin) { deployment in
      let refused = try await deployment.administer("POST", "", body)
      #expect(refused.status == 400)
    }
  }

  @Test func `Under a handoff that ties a worker to one role it gets no second one`() async throws {
    try await Deployment.run(configure: {
      asAdmin(&$0)
      $0.handoff = .sglang
    }) { deployment in
      let order = #"{"role":"prefill","address":"\#(deployment.decoderAddresses[0])"}"#
      let refused = try await deployment.administer("POST", "", order)
      #expect(refused.status == 409 && refused.body.contains("sglang"))
    }
  }
}

@Suite struct WorkerChangesTests {
  private static func endpoint(_ role: WorkerRole, _ port: Int) -> WorkerEndpoint {
    WorkerEndpoint(role, WorkerAddress(host: "h", port: port))
  }

  @Test func `Discovery adds what is missing and takes away only what it brought`() {
    let present: [WorkerChanges.Present] = [
      .init(Self.endpoint(.prefill, 1), .flags), .init(Self.endpoint(.prefill, 2), .discovery),
      .init(Self.endpoint(.decode, 3), .admin), .init(Self.endpoint(.decode, 4), .discovery),
    ]
    let wanted = [Self.endpoint(.prefill, 2), Self.endpoint(.decode, 5), Self.endpoint(.decode, 5)]
    let changes = WorkerChanges(from: present, to: wanted, limit: 9)
    #expect(changes.added == [Self.endpoint(.decode, 5)] && changes.removed == [Self.endpoint(.decode, 4)])
  }

  @Test func `A worker that leaves and is wanted again stays, and one that leaves is not removed twice`() {
    let present: [WorkerChanges.Present] = [
      .init(Self.endpoint(.decode, 1), .discovery, isLeaving: true),
      .init(Self.endpoint(.decode, 2), .discovery, isLeaving: true),
    ]
    let changes = WorkerChanges(from: present, to: [Self.endpoint(.decode, 1)], limit: 9)
    #expect(changes.added == [Self.endpoint(.decode, 1)] && changes.removed == [])
  }

  @Test func `The same list twice changes nothing`() {
    let wanted = [Self.endpoint(.decode, 1), Self.endpoint(.prefill, 1)]
    let present = wanted.map { WorkerChanges.Present($0, .discovery) }
    #expect(WorkerChanges(from: present, to: wanted.reversed(), limit: 9).isEmpty)
  }

  @Test func `Beyond the limit nobody is added, and the place of one that goes is free`() {
    let present = [1, 2].map { WorkerChanges.Present(Self.endpoint(.decode, $0), .discovery) }
    let wanted = [2, 3, 4].map { Self.endpoint(.decode, $0) } + [Self.endpoint(.prefill, 5)]
    let changes = WorkerChanges(from: present, to: wanted, limit: 2)
    #expect(changes.removed == [Self.endpoint(.decode, 1)] && changes.ignored == [Self.endpoint(.decode, 4)])
    #expect(changes.added == [Self.endpoint(.decode, 3), Self.endpoint(.prefill, 5)])
  }

  @Test(arguments: [
    ("10.0.0.7:8200", "10.0.0.7:8200"), ("http://a-b.c_d:1", "a-b.c_d:1"), ("http://[fe80::1]:80/", "[fe80::1]:80"),
  ])
  func `An address is read with or without its scheme`(text: String, address: String) {
    #expect(WorkerAddress(parsing: text)?.description == address)
  }

  @Test(arguments: [
    "", "h", "h:", "h:0", "h:65536", "h:+1", ":80", "https://h:1", "h\r\nX: 1:80", "h/p:80", "a:b:80", "user@h:80",
    "ü:80", "[]:80",
  ])
  func `What is no address is none`(text: String) {
    #expect(WorkerAddress(parsing: text) == nil)
  }

  @Test func `What stands behind the question mark is read in full or refused`() throws {
    let query = try RemovalQuery("grace=2.5&role=prefill", usual: .seconds(120))
    #expect(query.grace == .seconds(2.5) && query.role == .prefill)
    #expect(try RemovalQuery(nil, usual: .seconds(120)).grace == .seconds(120))
    for bad in ["grace", "grace=-1", "grace=nan", "grace=1e9", "role=both", "force=1"] {
      #expect(throws: APIError.self) { try RemovalQuery(bad, usual: .seconds(1)) }
    }
  }
}
