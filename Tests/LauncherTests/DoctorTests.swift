import Testing

import Launcher

struct DoctorTests {
  /// A vLLM 2p1d on GPUs 0, 1, 2, staggered, with everything as it should be.
  private func healthy() throws -> (Deployment, MachineFacts) {
    var deployment = Deployment(try Topology("2p1d"), model: "meta-llama/Llama-3.1-8B", servedModelNames: ["m"]) {
      $0.engine = .vllm
      $0.sideChannelPort = $0.port + 1000
    }
    try GPUInventory(usable: [0, 1, 2]).assign(to: &deployment, perWorker: 1)
    deployment.supervision.stagger = 5
    var facts = MachineFacts()
    facts.availableBytes = 64 << 30
    facts.sharedMemoryBytes = 8 << 30
    facts.fileLimit = 65_536
    facts.gpus = (0..<3).map { .init(index: $0, totalBytes: 80 << 30, freeBytes: 79 << 30) }
    facts.modelBytes = 16_000_000_000
    facts.modelAccess = .answered(200)
    facts.token = "hf_abc"
    facts.python = ["vllm": .success(PythonVersion(0, 32)), "nixl": .success(PythonVersion(1, 5))]
    facts.bandwidths = [("127.0.0.1", 3e9)]
    return (deployment, facts)
  }

  private func finding(
    _ check: String, _ change: (inout Deployment, inout MachineFacts) -> Void = { _, _ in }
  ) throws -> Finding {
    var (deployment, facts) = try healthy()
    change(&deployment, &facts)
    return try #require(DeploymentChecks(deployment, facts).findings.first { $0.check == check })
  }

  @Test func `A machine that is right has nothing but ok`() throws {
    let (deployment, facts) = try healthy()
    let findings = DeploymentChecks(deployment, facts).findings
    #expect(findings.filter { $0.verdict != .ok } == [])
    #expect(findings.allSatisfy { $0.remedy == nil })
  }

  @Test func `GPU memory is held against the model`() throws {
    let found = try finding("GPU memory") { $1.gpus[1] = .init(index: 1, totalBytes: 80 << 30, freeBytes: 10 << 30) }
    #expect(found.verdict == .failure)
    #expect(found.evidence == "prefiller2 needs 16.4 GiB on GPU 1, which has 10.0 GiB of 80.0 GiB free")
    #expect(
      try finding("GPU memory") { deployment, facts in
        deployment.workers[0].gpus = [0, 3]
        facts.gpus[0] = .init(index: 0, totalBytes: 16 << 30, freeBytes: 9 << 30)
      }.verdict == .ok, "two GPUs share the weights")
  }

  @Test func `Main memory is held against all workers where there are no GPUs`() throws {
    let found = try finding("Memory") { deployment, facts in
      for index in deployment.workers.indices { deployment.workers[index].gpus = [] }
      facts.modelBytes = 10 << 30
    }
    #expect(found.verdict == .failure)
    #expect(found.evidence.contains("3 workers of a model of 10.0 GiB need about 66.0 GiB, and 64.0 GiB are free"))
  }

  @Test func `NIXL and vLLM must be importable`() throws {
    let absent = try finding("NIXL installation") { $1.python?["nixl"] = nil }
    #expect(absent.verdict == .failure && absent.remedy == "pip install nixl")
    let broken = try finding("NIXL installation") {
      $1.python?["nixl"] = .failure(.init(text: "ImportError: libucp.so.0"))
    }
    #expect(broken.evidence.contains("libucp.so.0"))
    #expect(try finding("vLLM installation") { $1.python = nil }.verdict == .failure)
  }

  @Test func `A taken port is named with its holder`() throws {
    let found = try finding("Port conflicts") {
      $1.takenPorts = [.init(worker: "decoder", port: 8200, holder: "pid 7 (python3 -m http.server)")]
    }
    #expect(found.verdict == .failure)
    #expect(found.evidence == "taken: 8200 (decoder) by pid 7 (python3 -m http.server)")
  }

  @Test(arguments: [
    (MachineFacts.ModelAccess.answered(401), String?.none, Finding.Verdict.failure), (.answered(403), "hf_x", .failure),
    (.answered(404), "hf_x", .failure), (.answered(302), nil, .ok), (.unreachable("no route"), nil, .warning),
    (.unreachable("no route"), "hf_x", .ok), (.answered(200), "my-token", .failure), (.local, nil, .skipped),
  ])
  func `The token is judged by what Hugging Face says`(
    access: MachineFacts.ModelAccess, token: String?, verdict: Finding.Verdict
  ) throws {
    let found = try finding("HF token") { ($1.modelAccess, $1.token) = (access, token) }
    #expect(found.verdict == verdict)
  }

  @Test func `GPUs that overlap or are missing are failures`() throws {
    #expect(try finding("GPU assignment") { deployment, _ in deployment.workers[1].gpus = [0] }.verdict == .failure)
    let missing = try finding("GPU assignment") { deployment, _ in deployment.workers[1].gpus = [9] }
    #expect(missing.evidence == "GPU 9 is not there; nvidia-smi shows 0, 1, 2")
  }

  @Test func `Small limits are warnings with what to type`() throws {
    #expect(
      try finding("Startup timing") { deployment, _ in deployment.supervision.stagger = 0 }.remedy?.contains(
        "--stagger 5") == true)
    #expect(try finding("Shared memory") { $1.sharedMemoryBytes = 64 << 20 }.remedy?.contains("--shm-size") == true)
    #expect(try finding("File limits") { $1.fileLimit = 1024 }.remedy?.contains("ulimit -n 65536") == true)
    #expect(try finding("Clock of p2") { $1.clockOffsets = [("p2", 40)] }.verdict == .warning)
    #expect(try finding("Clock of p2") { $1.clockOffsets = [("p2", 1)] }.verdict == .ok)
    let slow = try finding("Network to p2") { $1.bandwidths = [("p2", 0.118e9)] }
    #expect(slow.evidence == "TCP carries 0.1 GB/s: 1 GB of KV takes 8.5 s")
    #expect(try finding("Network to p2") { $1.bandwidths = [("p2", nil)] }.remedy?.contains("--sink") == true)
  }

  @Test func `What nvidia-smi prints is read`() {
    #expect(
      MachineFacts.parseGPUs("0, 81559, 80994\n1, 81559, 12\n[N/A], x\n") == [
        .init(index: 0, totalBytes: 81_559 << 20, freeBytes: 80_994 << 20),
        .init(index: 1, totalBytes: 81_559 << 20, freeBytes: 12 << 20),
      ])
  }

  @Test(arguments: [
    ("meta-llama/Llama-3.1-8B-Instruct", 16_000_000_000), ("Qwen/Qwen2-0.5B", 1_000_000_000),
    ("HuggingFaceTB/SmolLM2-135M-Instruct", 270_000_000), ("gpt2", nil),
  ])
  func `A model's size follows from its name where nothing else tells it`(name: String, bytes: Int?) {
    #expect(
      ModelSize(of: name, environment: ["HF_HOME": "/no/such"])
        == ModelSize(of: name, environment: ["HF_HOME": "/none"]))
    #expect(ModelSize(of: name, environment: ["HF_HOME": "/no/such"]).bytes == bytes)
  }

  @Test func `A report has a line for each check, and its remedy below`() {
    let report = [
      Finding("Ports", .ok, "free"), Finding("HF token", .failure, "none", remedy: "export HF_TOKEN=hf_…"),
    ].report
    #expect(
      report == "ok       Ports     free\nFAILURE  HF token  none\n" + "                   → export HF_TOKEN=hf_…")
  }
}

struct RunningChecksTests {
  private let time = ContinuousClock.now

  private func snapshot(_ change: (inout FleetSnapshot) -> Void = { _ in }) -> FleetSnapshot {
    var workers = ["prefiller1", "prefiller2"].map { FleetSnapshot.Worker(name: $0, role: .prefiller, address: "a:1") }
    workers.append(.init(name: "decoder1", role: .decoder, address: "a:2"))
    for index in workers.indices { workers[index].kvUse = 0.2 }
    var snapshot = FleetSnapshot(time: time, workers: workers)
    change(&snapshot)
    return snapshot
  }

  private func finding(_ check: String, _ change: (inout FleetSnapshot) -> Void = { _ in }) throws -> Finding {
    let findings = RunningChecks(snapshot(change), since: snapshot()).findings
    return try #require(findings.first { $0.check == check })
  }

  @Test func `A deployment at ease has no bottleneck`() throws {
    #expect(try finding("Bottleneck") == Finding("Bottleneck", .ok, "none: nothing waits"))
  }

  @Test func `The pool whose requests wait is the bottleneck`() throws {
    let prefill = try finding("Bottleneck") { $0.workers[0].waiting = 6 }
    #expect(prefill.evidence == "the prefill pool: 3.0 requests wait at each prefiller, 0.0 at each decoder")
    let decode = try finding("Bottleneck") { $0.workers[2].waiting = 4 }
    #expect(decode.evidence.hasPrefix("the decode pool: 4.0 requests wait at each decoder"))
    #expect(try finding("Bottleneck") { $0.workers[2].kvUse = 0.97 }.evidence.contains("at 97 %"))
    #expect(try finding("Bottleneck") { $0.queued = 3 }.remedy == "raise --max-concurrent-requests")
  }

  @Test func `Load that is not even is told with its shares`() throws {
    let found = try finding("Uneven load") { ($0.workers[0].legs, $0.workers[1].legs) = (40, 3) }
    #expect(found.evidence == "answered: prefiller1 40, prefiller2 3")
    #expect(found.remedy?.contains("--prefill-policy least-loaded") == true)
    #expect(try finding("Uneven load") { ($0.workers[0].legs, $0.workers[1].legs) = (40, 38) }.verdict == .ok)
  }

  @Test func `Preemptions and full caches are contention`() throws {
    #expect(
      try finding("Resource contention") { $0.workers[2].preemptions = 2 }.evidence
        == "decoder1: 2 preemptions so far, KV cache 20 % full")
    #expect(try finding("Resource contention") { $0.workers[1].kvUse = 0.95 }.verdict == .warning)
  }

  @Test func `Transfers are judged by what they cost`() throws {
    let slow = try finding("Network bottlenecks") { snapshot in
      (snapshot.workers[2].transferBytes, snapshot.workers[2].transferSeconds) = (1e9, 10)
      snapshot.workers[2].timeToFirstToken = .init(sum: 12, count: 3)
    }
    #expect(slow.verdict == .warning && slow.evidence.contains("1000 MB of KV moved at 0.1 GB/s"))
    #expect(try finding("Network bottlenecks") { $0.workers[2].transferFailures = 1 }.verdict == .warning)
    #expect(try finding("Network bottlenecks").verdict == .skipped)
  }

  @Test func `A worker that is down is a failure`() throws {
    #expect(
      try finding("Workers") { $0.workers[1].fault = "unreachable" }.evidence == "prefiller2 at a:1 is unreachable")
  }

  @Test func `A table shows what happened between two looks`() {
    let page = MetricsPage(
      """
      # HELP vllm:num_requests_running x
      vllm:num_requests_running{engine="0",model_name="a b} c"} 3.0
      vllm:num_requests_waiting{engine="0"} 2 1700000000
      vllm:kv_cache_usage_perc{engine="0"} 0.25
      vllm:time_to_first_token_seconds_sum{engine="0"} 1.5
      vllm:time_to_first_token_seconds_count{engine="0"} 3
      vllm:nixl_bytes_transferred_sum 2e9
      vllm:nixl_xfer_time_seconds_sum 0.5
      nonsense
      """)
    var now = snapshot()
    now.time = time + .seconds(2)
    now.workers[2].read(page)
    now.outcomes = ["ok": 10]
    let lines = FleetTable(now, since: snapshot()).lines(width: 200)
    #expect(lines[0] == "requests: 0 running, 0 queued, 5.0 done/s; so far ok 10")
    #expect(
      lines.last?.split(separator: " ").joined(separator: " ")
        == "decoder1 up 3 2 25 % 500.0 - 4.0 1000.0 MB/s 0 0")
  }
}
