import Engine
import Foundation
import KVBlocks
import ServingAPI
import Testing
import Worker

/// Keys, probes, metrics, start-up.
struct OperationTests {
  @Test(arguments: [
    ("Bearer right", 200), ("bearer other", 200), ("Bearer wrong", 401), ("Bearer righ", 401), ("Bearer rightt", 401),
    ("Basic right", 401), ("right", 401), ("Bearer ", 401), (nil, 401),
  ])
  func `A key opens what is closed`(authorization: String?, status: Int) async throws {
    try await withWorker(configure: { $0.apiKeys = ["right", "other"] }) { worker in
      let headers = authorization.map { [("Authorization", $0)] } ?? []
      let closed = try await worker.get("/v1/models", headers: headers)
      #expect(closed.status == status)
      for path in ["/health", "/metrics", "/ping", "/version", "/load"] {
        let open = try await worker.get(path)
        #expect(open.status == 200)
      }
    }
  }

  @Test func `The OpenAPI document names every path, with every status that it answers`() async throws {
    try await withWorker { worker in
      let document = try await worker.get("/openapi.json").json
      guard case .object(let paths)? = document["paths"] else {
        Issue.record("no paths")
        return
      }
      #expect(paths.members.count == 19)
      for (pattern, item) in paths.members {
        guard case .object(let operations) = item else {
          Issue.record("\(item)")
          return
        }
        let path = pattern.replacing("{name}", with: "none")
        for (method, operation) in operations.members {
          let answer = method == "get" ? try await worker.get(path) : try await worker.post(path, [:])
          #expect(operation["responses"]?["\(answer.status)"] != nil, "\(pattern): \(answer.status)")
          #expect(answer.status != 405)
        }
      }
    }
  }

  @Test func `After a reset the prefix cache finds nothing of before`() async throws {
    try await withWorker { worker in
      let body: BodyValue = ["prompt": .string(String(repeating: "The sea. ", count: 20)), "max_tokens": 1]
      _ = try await worker.complete(body)
      _ = try await worker.complete(body)
      let hits = worker.worker.statistics.prefixCacheHits
      #expect(hits > 0)
      #expect(try await worker.post("/reset_prefix_cache", [:]).status == 200)
      _ = try await worker.complete(body)
      #expect(worker.worker.statistics.prefixCacheHits == hits)
      _ = try await worker.complete(body)
      #expect(worker.worker.statistics.prefixCacheHits > hits)
    }
  }

  @Test func `Every served name is listed, and answers under its own`() async throws {
    try await withWorker(configure: { $0.servedNames = ["meta-llama/Llama-3.1-8B-Instruct", "tiny"] }) { worker in
      let models = try await worker.get("/v1/models").json["data"]?.arrayValue ?? []
      #expect(models.map { $0["id"] } == ["meta-llama/Llama-3.1-8B-Instruct", "tiny"])
      #expect(try await worker.get("/v1/models/meta-llama/Llama-3.1-8B-Instruct").status == 200)
      #expect(try await worker.get("/v1/models/meta-llama%2FLlama-3.1-8B-Instruct").status == 200)
      let answer = try await worker.complete(["model": "tiny", "prompt": "a", "max_tokens": 1])
      #expect(answer.json["model"] == "tiny")
    }
  }

  @Test func `The metrics that dashboards of vLLM read are there`() async throws {
    try await withWorker(.both) { worker in
      _ = try await worker.complete(["prompt": "The sea was calm", "max_tokens": 3, "temperature": 0])
      let metrics = try await worker.get("/metrics")
      #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let lines = metrics.text.split(separator: "\n")
      let names = [
        "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prompt_tokens_total",
        "generation_tokens_total", "prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total",
        "time_to_first_token_seconds_count", "inter_token_latency_seconds_count", "e2e_request_latency_seconds_count",
        "request_queue_time_seconds_count", "request_prefill_time_seconds_count", "request_decode_time_seconds_count",
        "request_inference_time_seconds_count", "nixl_xfer_time_seconds_count", "nixl_bytes_transferred_count",
        "nixl_num_failed_transfers_total", "nixl_num_kv_expired_reqs_total", "cache_config_info",
      ]
      for name in names { #expect(lines.contains { $0.hasPrefix("vllm:\(name){") }, "\(name)") }
      for line in [
        #"vllm:generation_tokens_total{engine="0",model_name="smollm2"} 3.0"#,
        #"vllm:request_success_total{engine="0",model_name="smollm2",finished_reason="length"} 1.0"#,
        #"vllm:prompt_tokens_by_source_total{engine="0",model_name="smollm2",source="external_kv_transfer"} 0.0"#,
        #"vllm:time_to_first_token_seconds_count{engine="0",model_name="smollm2"} 1.0"#,
        #"http_requests_total{handler="/v1/completions",status="2xx"} 1.0"#,
      ] { #expect(lines.contains { $0 == line }, "\(line)") }
    }
  }

  @Test func `A worker that stops cuts its streams, so that nobody waits or takes them for whole`() async throws {
    let client = try await withWorker { worker in
      let client = try await RawClient.connect(port: worker.worker.port)
      let body: BodyValue = ["prompt": "The sea", "max_tokens": 4000, "temperature": 0, "stream": true]
      try await client.send(
        TestWorker.request(
          "POST", "/v1/completions", headers: [("Content-Type", "application/json")], body: body.encoded))
      _ = try await client.read { $0.count > 500 }
      return client
    }
    let rest = (try? await client.read { _ in false }) ?? []
    #expect(!String(decoding: rest, as: UTF8.self).contains("[DONE]"))
  }

  @Test(arguments: [
    ("{", "not JSON"), ("[]", "not a JSON object"), ("{}", "kv_connector"), (#"{"kv_connector":"X"}"#, "NixlConnector"),
    (#"{"kv_connector":"NixlConnector","kv_role":"chief"}"#, "kv_both"),
    (#"{"kv_connector":"NixlConnector","kv_load_failure_policy":"hope"}"#, "recompute"),
  ])
  func `A transfer configuration that cannot be meant is refused with what is`(json: String, hint: String) throws {
    let error = try #require(throws: WorkerError.self) { try KVTransferConfiguration(json: json) }
    #expect("\(error)".contains(hint))
  }

  @Test(arguments: [
    ("{", "not JSON"), ("[]", "not a JSON object"), (#"{"num_speculative_tokens":4}"#, "ngram"),
    (#"{"method":"eagle","num_speculative_tokens":4}"#, "ngram"), (#"{"method":"ngram"}"#, "num_speculative_tokens"),
    (#"{"method":"ngram","num_speculative_tokens":0}"#, "from 1"),
    (#"{"method":"ngram","num_speculative_tokens":1e2}"#, "from 1"),
    (#"{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_min":4,"prompt_lookup_max":3}"#, "exceeds"),
    (#"{"method":"ngram","num_speculative_tokens":4,"draft_model":"x"}"#, "draft_model"),
  ])
  func `A speculation that cannot be meant is refused with what is`(json: String, hint: String) throws {
    let error = try #require(throws: WorkerError.self) { try NGramSpeculation(json: json) }
    #expect("\(error)".contains(hint))
  }

  @Test(arguments: [
    ("", 5...5), (#","prompt_lookup_max":3"#, 3...3), (#","prompt_lookup_min":2"#, 2...2),
    (#","prompt_lookup_max":4,"prompt_lookup_min":2"#, 2...4),
  ])
  func `A lookup's bounds are vLLM's where they are not given`(fields: String, lookup: ClosedRange<Int>) throws {
    let speculation = try NGramSpeculation(json: #"{"method":"ngram","num_speculative_tokens":4\#(fields)}"#)
    #expect(speculation == NGramSpeculation(draftTokens: 4, lookup: lookup))
  }

  @Test func `Keys of vLLM's configuration that we do not know are told, not refused`() throws {
    let json = #"""
      {"kv_connector":"NixlConnector","kv_role":"kv_producer","kv_load_failure_policy":"fail","kv_buffer_device":"cpu",
       "kv_rank":0,"kv_connector_extra_config":{"backends":["UCX"]}}
      """#
    let configuration = try KVTransferConfiguration(json: json)
    #expect(configuration.role == .producer)
    #expect(configuration.pullFailurePolicy == .fail)
    #expect(configuration.ignoredKeys == ["kv_rank", "kv_connector_extra_config.backends"])
  }

  @Test(arguments: [
    (rate: 400.0, sequences: 64, tokens: 128), (1000, 64, 224), (2000, 64, 480), (1e9, 64, 2048), (0, 64, 128),
    (400, 300, 300),
  ])
  func `A step is what takes a quarter of a second, within bounds`(rate: Double, sequences: Int, tokens: Int) {
    #expect(StepBudget.tokens(perSecond: rate, maxSequences: sequences) == tokens)
  }

  @Test(arguments: [
    (KVPoolSize.blocks(100), Int?(100)), (.bytes(1 << 20), 256), (.automatic, 64), (.blocks(7), nil), (.bytes(1), nil),
  ])
  func `The pool holds at least one context`(size: KVPoolSize, blocks: Int?) throws {
    let layout = KVLayout(layers: 2, kvHeads: 2, headDim: 16)
    let count = try? size.blocks(layout: layout, maxModelLength: 128, memory: 1 << 30)
    #expect(count == blocks)
    #expect(try KVPoolSize.automatic.blocks(layout: layout, maxModelLength: 128, memory: 1 << 20) == 64)
  }

  @Test func `A processor that is none is an error that names those that are, and on those it serves`() async throws {
    let error = await #expect(throws: WorkerError.self) {
      try await withWorker(configure: { $0.cpus = [1023] }) { _ in }
    }
    guard case .noProcessor(1023, let allowed)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    let first = try #require(allowed.first)
    try await withWorker(configure: {
      $0.cpus = [first]
      $0.threads = 2
    }) { worker in
      let answer = try await worker.complete(["prompt": "a", "max_tokens": 2])
      #expect(answer.status == 200)
    }
  }

  @Test func `A model that is none is an error that names the file`() async throws {
    let error = await #expect(throws: WorkerError.self) {
      try await withWorker(configure: { $0.modelPath = "/nowhere/model.gguf" }) { _ in }
    }
    #expect(error.map { "\($0)".contains("/nowhere/model.gguf") } == true)
  }
}
