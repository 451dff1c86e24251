import Bench
import HTTPServer
import ServingAPI
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ClientTests {
  @Test func `An answer becomes a record: times, counts, status`() async throws {
    try await ScriptedServer.run({ _ in .streams(ScriptedServer.answer) }) { server, target in
      let records = try await benchmark(.of(3), against: target, options: RunOptions())
      #expect(records.map(\.index).sorted() == [0, 1, 2])
      for record in records {
        #expect(record.outcome == .ok && record.status == 200 && record.error == nil)
        #expect((record.promptTokens, record.outputTokens, record.tokenSource) == (11, 2, .usage))
        #expect(record.chunkTimes.count == 2 && record.firstToken == record.chunkTimes[0])
        let moments = [record.scheduled, record.started!] + record.chunkTimes + [record.finished]
        #expect(moments == moments.sorted() && record.scheduled == 0)
      }
      #expect(Set(records.map(\.requestID)) == ["bench-0", "bench-1", "bench-2"])
    }
  }

  @Test func `What is sent is what a completions server reads`() async throws {
    try await ScriptedServer.run({ _ in .streams(ScriptedServer.answer) }) { server, target in
      var target = target
      target.headers = [Target.Field(name: "authorization", value: "Bearer k")]
      var options = RunOptions()
      options.extraBody["temperature"] = .integer(0)
      options.extraBody["stream_options"] = .null
      _ = try await benchmark(.of(1, outputTokens: 5), against: target, options: options)
      let request = server.requests.entries[0]
      #expect(request.path == "/v1/completions" && request.headers["authorization"] == ["Bearer k"])
      #expect(request.headers["x-request-id"] == ["bench-0"] && request.headers["x-xpyd-timing"] == ["1"])
      let expected: BodyValue = [
        "model": "m", "prompt": "hé\n", "max_tokens": 5, "stream": true, "stream_options": nil, "temperature": 0,
      ]
      #expect(try BodyParser.parse(Array(request.body.readableBytesView)) == expected)
    }
  }

  @Test func `Chat gets its prompt as a user's message`() async throws {
    try await ScriptedServer.run({ _ in .streams(ScriptedServer.answer) }) { server, target in
      let chat = Target(base: target.base, api: .chat, model: "m")
      let records = try await benchmark(.of(1), against: chat, options: RunOptions())
      #expect(records[0].outcome == .ok)
      let body = try BodyParser.parse(Array(server.requests.entries[0].body.readableBytesView))
      #expect(server.requests.entries[0].path == "/v1/chat/completions")
      #expect(body["messages"] == [["role": "user", "content": [["type": "text", "text": "hé\n"]]]])
      #expect(body["max_completion_tokens"] == 2 && body["max_tokens"] == nil)
      var ids = Workload.of(1)
      ids.requests = [WorkloadRequest(tokenIDs: [1], outputTokens: 1)]
      await #expect(throws: BenchError.self) { try await benchmark(ids, against: chat, options: RunOptions()) }
    }
  }

  /// Each way to fail, and how its record tells.
  static let failures: [(ScriptedServer.Script, RequestRecord.Outcome, Int?, String)] = [
    (.status(503, #"{"error":{"message":"full"}}"#), .http, 503, "full"),
    (.status(400, #"{"message":"old vLLM"}"#), .http, 400, "old vLLM"),
    (.status(404, "nothing here"), .http, 404, "nothing here"),
    (.status(500, ""), .http, 500, "Internal Server Error"),
    (.closes, .broken, nil, "closed the connection"),
    (.breaksOff(after: ScriptedServer.token), .broken, 200, "closed the connection"),
    (.streams([ScriptedServer.token, "data: {\"choices\""]), .broken, 200, "in the middle of an event"),
    (.streams([ScriptedServer.token, "data: oops\n\n"]), .broken, 200, "no JSON object: oops"),
    (.streams(["{\"text\":\"not a stream\"}"]), .broken, 200, "not a stream"),
    (.streams([ScriptedServer.usage]), .broken, 200, "no chunk"),
    (.streams([ScriptedServer.token, "data: {\"error\":{\"message\":\"KV lost\"}}\n\n"]), .errorEvent, 200, "KV lost"),
    (.streams(["data: {\"error\":\"all lost\"}\n\n"]), .errorEvent, 200, "all lost"),
  ]

  @Test(arguments: failures.indices)
  func `Each kind of failure is told apart, with its words`(index: Int) async throws {
    let (script, outcome, status, words) = Self.failures[index]
    try await ScriptedServer.run({ _ in script }) { _, target in
      let record = try await benchmark(.of(1), against: target, options: RunOptions())[0]
      #expect(record.outcome == outcome && record.status == status)
      #expect(record.error?.contains(words) == true, "\(record.error ?? "")")
      #expect(record.isFailure)
    }
  }

  @Test func `A server that refuses connections fails each request`() async throws {
    let port = RefusingPort()
    let target = Target(base: BaseURL(host: "localhost", port: port.number), api: .completions, model: "m")
    let records = try await benchmark(.of(2), against: target, options: RunOptions())
    #expect(records.allSatisfy { $0.outcome == .connect && $0.error?.contains("refused the connection") == true })
  }

  @Test func `An answer that does not end in time is given up, and its connection closed`() async throws {
    try await ScriptedServer.run({ _ in .hangs }) { server, target in
      var options = RunOptions()
      options.requestTimeout = .milliseconds(1)
      let record = try await benchmark(.of(1), against: target, options: options)[0]
      #expect(record.outcome == .timeout)
      await server.clientsGone.wait(for: 1)
    }
  }

  @Test func `Requests go one after another over one connection, and again where the server had closed it`()
    async throws
  {
    try await ScriptedServer.run({ $0 == 1 ? .closes : .streams(ScriptedServer.answer) }) { server, target in
      var options = RunOptions()
      options.maxConcurrency = 1
      let records = try await benchmark(.of(3), against: target, options: options)
      // The second was closed unheard on a used connection, and sent once more.
      #expect(records.allSatisfy { $0.outcome == .ok } && server.requests.entries.count == 4)
    }
  }

  @Test func `The limit on concurrency holds requests back, and says until when`() async throws {
    try await ScriptedServer.run({ _ in .waits }) { server, target in
      var options = RunOptions()
      options.maxConcurrency = 2
      let workload = Workload.of(4)
      async let records = benchmark(workload, against: target, options: options)
      await server.requests.wait(for: 2)
      #expect(server.requests.entries.count == 2)
      server.release(2)
      await server.requests.wait(for: 4)
      server.release(2)
      let held = try await records.sorted { $0.index < $1.index }.map(\.heldUntil)
      #expect(held[0] == nil && held[1] == nil && held[2]! > 0 && held[3]! > 0)
    }
  }

  @Test func `A client that leaves is no failure, and really leaves`() async throws {
    try await ScriptedServer.run({ _ in .hangs }) { server, target in
      var options = RunOptions()
      options.cancellationRate = 1
      // One chunk comes: whoever wants to leave after one or none does.
      let records = try await benchmark(.of(6), against: target, options: options)
      #expect(records.allSatisfy { $0.outcome == .cancelled && !$0.isFailure })
      #expect(Set(records.map(\.chunkTimes.count)) == [0, 1])
    }
  }

  @Test func `A slow reader gets its whole answer, marked`() async throws {
    let long = Array(repeating: ScriptedServer.token, count: 100) + [ScriptedServer.usage]
    try await ScriptedServer.run({ _ in .streams(long) }) { _, target in
      var options = RunOptions()
      options.slowReaderRate = 1
      let record = try await benchmark(.of(1), against: target, options: options)[0]
      #expect(record.outcome == .ok && record.isSlowReader && record.chunkTimes.count == 100)
      // 4 kB at 1 kB each tenth of a second.
      #expect(record.finished > 0.3)
    }
  }

  @Test func `A run that is cancelled returns with what there is`() async throws {
    try await ScriptedServer.run({ $0 == 0 ? .streams(ScriptedServer.answer) : .hangs }) { server, target in
      var options = RunOptions()
      options.arrivals = .recorded(scale: 1)
      var workload = Workload.of(3)
      for (index, time) in [0, 0, 1e6].enumerated() { workload.requests[index].recordedTime = time }
      let run = Task { [workload, options] in try await benchmark(workload, against: target, options: options) }
      await server.requests.wait(for: 2)
      run.cancel()
      let outcomes = try await run.value.map(\.outcome)
      #expect(outcomes.count == 2 && outcomes.contains(.cancelled))
    }
  }

  @Test func `An error of the taker stops the run`() async throws {
    struct Full: Error {}
    try await ScriptedServer.run({ $0 == 0 ? .streams(ScriptedServer.answer) : .hangs }) { _, target in
      await #expect(throws: Full.self) {
        try await benchmark(.of(2), against: target, options: RunOptions()) { event in
          if case .record = event { throw Full() }
        }
      }
    }
  }

  @Test func `Text is kept if wanted, and timing read where the server tells it`() async throws {
    let parts = ScriptedServer.answer + [": x-xpyd-timing {\"prefiller\":\"p1\",\"prefill\":0.25,\"queue\":0.5}\n\n"]
    try await ScriptedServer.run({ _ in .streams(parts) }) { _, target in
      var options = RunOptions()
      options.keepsText = true
      let record = try await benchmark(.of(1), against: target, options: options)[0]
      #expect(record.text == " a a")
      #expect(record.timing?.prefiller == "p1" && record.timing?.prefill == 0.25 && record.timing?.queue == 0.5)
    }
  }

  @Test func `Without usage the chunks are counted, and the record says so`() async throws {
    try await ScriptedServer.run({ _ in .streams([ScriptedServer.token, ScriptedServer.token]) }) { _, target in
      let record = try await benchmark(.of(1), against: target, options: RunOptions())[0]
      #expect((record.promptTokens, record.outputTokens, record.tokenSource) == (3, 2, .chunks))
    }
  }

  @Test func `A server names its models, or says why not`() async throws {
    try await ScriptedServer.run({ _ in .closes }) { _, target in
      let models = try await servedModels(target)
      #expect(models == ["first", "second"])
    }
    let port = RefusingPort()
    let target = Target(base: BaseURL(host: "127.0.0.1", port: port.number), api: .completions, model: "")
    await #expect(throws: BenchError.self) { try await servedModels(target) }
  }

  @Test func `The ready check waits for a good answer, and no longer than it may`() async throws {
    try await ScriptedServer.run({ $0 == 0 ? .status(503, "") : .streams(ScriptedServer.answer) }) { server, target in
      try await waitUntilReady(.of(5), against: target, options: RunOptions(), seconds: 60)
      #expect(server.requests.entries.count == 2)
    }
    try await ScriptedServer.run({ _ in .status(404, "no such model") }) { _, target in
      let error = BenchError.notReady(url: target.url, seconds: 0.1, lastError: "no such model")
      await #expect(throws: error) {
        try await waitUntilReady(.of(1), against: target, options: RunOptions(), seconds: 0.1)
      }
    }
  }
}
