import Foundation
import KVOffload
import ServingAPI
import TestSupport
import Testing
import Worker

/// LMCache's settings, as its example has them and as people write them.
struct LMCacheTests {
  private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Fixtures/lmcache")

  private func settings(_ yaml: String) throws -> LMCacheConfiguration {
    let file = TemporaryFile(Array(yaml.utf8))
    return try withExtendedLifetime(file) {
      try LMCacheConfiguration(environment: ["LMCACHE_CONFIG_FILE": file.path])
    }
  }

  @Test(arguments: [
    ("lmcache-prefiller-config.yaml", LMCachePush.Role.sender), ("lmcache-decoder-config.yaml", .receiver),
  ])
  func `The example's files are taken as they are`(file: String, role: LMCachePush.Role) throws {
    let path = Self.fixtures.appendingPathComponent(file).path
    let settings = try LMCacheConfiguration(environment: ["LMCACHE_CONFIG_FILE": path])
    let push = try #require(settings.push)
    #expect(push.role == role && push.host == "localhost" && push.port == 55_555)
    #expect(push.bufferBytes == 1_073_741_824 && push.collectsUnread)
    #expect(settings.offload == nil)
    #expect(settings.warnings.count == 1 && settings.warnings[0].contains("cuda"))
  }

  @Test func `Newer names and variables mean the same`() throws {
    let newer = try settings(
      """
      enable_pd: true
      pd_role: 'receiver'   # a comment
      pd_peer_host: "10.0.0.7"
      pd_peer_init_port: [7300, 7301]
      pd_peer_alloc_port: [7400]
      pd_buffer_size: 4194304
      pd_buffer_device: cpu
      nixl_enable_gc: False
      pd_allocation_timeout_sec: 5
      """)
    let push = try #require(newer.push)
    #expect(push.port == 7300 && push.host == "10.0.0.7" && push.bufferBytes == 4 << 20)
    #expect(!push.collectsUnread && push.roomTimeout == .seconds(5) && newer.warnings == [])
    let variables = try LMCacheConfiguration(environment: [
      "LMCACHE_ENABLE_NIXL": "True", "LMCACHE_NIXL_ROLE": "sender", "LMCACHE_NIXL_PEER_HOST": "h",
      "LMCACHE_NIXL_PEER_PORT": "55555", "PATH": "/bin",
    ])
    #expect(variables.push?.role == .sender && variables.push?.host == "h" && variables.warnings == [])
  }

  @Test(arguments: [
    ("nixl_roll: sender", "nixl_role"), ("nixl_bufer_size: 1", "nixl_buffer_size"), ("zzzzzzzz: 1", "is no setting"),
    ("use_layerwise: True", "'use_layerwise'"), ("max_local_disk_size: 5", "no effect"),
    ("local_disk: /tmp/kv", "max_local_disk_size"),
  ])
  func `A setting that nobody knows, or that has no effect, is told`(line: String, hint: String) throws {
    let settings = try settings("enable_nixl: True\nnixl_role: sender\nnixl_peer_port: 1\n\(line)\n")
    #expect(settings.warnings.count == 1 && settings.warnings[0].contains(hint), "\(settings.warnings)")
  }

  @Test(arguments: [
    ("enable_nixl: False\nlocal_cpu: False", "enable_nixl"), ("enable_nixl: perhaps", "perhaps"),
    ("enable_nixl: True", "nixl_role"),
    ("enable_nixl: True\nnixl_role: sender", "nixl_peer_port"),
    ("enable_nixl: True\nnixl_role: sender\nnixl_peer_port: 70000", "70000"),
    ("enable_nixl: True\nnixl_role: receiver\nnixl_buffer_size: much", "much"),
    ("enable_nixl: True\nextra_config:\n  a: 1", "line 3"), ("enable_nixl", "line 1"), ("- a", "line 1"),
    ("a:1", "line 1"), ("a: &b", "line 1"),
  ])
  func `What cannot be meant is an error that names it`(yaml: String, hint: String) throws {
    let error = try #require(throws: WorkerError.self) { try settings(yaml) }
    #expect("\(error)".contains(hint), "\(error)")
  }

  @Test(arguments: [
    ("", 5 << 30, nil), ("local_cpu: True\nmax_local_cpu_size: 0.5", 1 << 29, nil),
    ("local_cpu: False\nlocal_disk: 'file:///kv/a'\nmax_local_disk_size: 2", 0, "/kv/a"),
    ("max_local_cpu_size: 1\nlocal_disk: /kv/a\nmax_local_disk_size: 2", 1 << 30, "/kv/a"),
    ("local_disk: False", 5 << 30, nil),
  ])
  func `Without push mode LMCache's tiers are kept, at LMCache's sizes`(
    yaml: String, memory: Int, folder: String?
  ) throws {
    let file = TemporaryFile(Array(yaml.utf8))
    let json = #"{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}"#
    let configuration = try withExtendedLifetime(file) {
      try KVTransferConfiguration(json: json, environment: ["LMCACHE_CONFIG_FILE": file.path])
    }
    #expect(configuration.connector == .local && configuration.warnings == [])
    #expect(configuration.offload?.memoryBytes == memory)
    #expect(configuration.offload?.disk == folder.map { OffloadConfiguration.Disk(folder: $0, bytes: 2 << 30) })
  }

  @Test func `In push mode a tier is kept where it is asked for`() throws {
    let push = "enable_pd: true\npd_role: receiver\n"
    #expect(try settings(push).offload == nil)
    #expect(try settings(push + "local_cpu: True").offload == OffloadConfiguration(memoryBytes: 5 << 30))
    let error = try #require(throws: WorkerError.self) { try settings(push + "max_local_cpu_size: -1") }
    #expect("\(error)".contains("max_local_cpu_size") && "\(error)".contains("-1"))
  }

  @Test func `KV that is only kept goes with kv_both`() throws {
    for role in ["kv_producer", "kv_consumer"] {
      let error = try #require(throws: WorkerError.self) {
        try KVTransferConfiguration(
          json: #"{"kv_connector":"LMCacheConnectorV1","kv_role":"\#(role)"}"#,
          environment: ["LMCACHE_LOCAL_CPU": "True"])
      }
      #expect("\(error)".contains(role) && "\(error)".contains("enable_nixl"))
    }
  }

  @Test func `The role of the flag and that of the file must agree`() throws {
    let path = Self.fixtures.appendingPathComponent("lmcache-decoder-config.yaml").path
    func configuration(_ role: String, _ extra: String = "") throws -> KVTransferConfiguration {
      try KVTransferConfiguration(
        json: #"{"kv_connector":"LMCacheConnectorV1","kv_role":"\#(role)"\#(extra)}"#,
        environment: ["LMCACHE_CONFIG_FILE": path])
    }
    let example = try configuration(
      "kv_consumer",
      #","kv_connector_extra_config":{"discard_partial_chunks":false,"lmcache_rpc_port":"consumer1"}"#)
    #expect(example.rpcPort == "consumer1" && example.ignoredKeys == [])
    for role in ["kv_producer", "kv_both"] {
      let error = try #require(throws: WorkerError.self) { try configuration(role) }
      #expect("\(error)".contains(role) && "\(error)".contains("receiver"))
    }
    let other = try configuration("kv_consumer", #","kv_connector_extra_config":{"discard_partial_chunks":true}"#)
    #expect(other.ignoredKeys == ["kv_connector_extra_config.discard_partial_chunks"])
  }

  @Test func `Two workers with one lmcache_rpc_port: the second is refused, and both are named`() async throws {
    let name = "test-\(UUID().uuidString)"
    func configure(_ configuration: inout WorkerConfiguration) {
      configuration.kvTransfer?.connector = .push(LMCachePush(role: .sender, port: 1))
      configuration.kvTransfer?.rpcPort = name
    }
    try await withWorker(.producer, configure: configure) { _ in
      let error = await #expect(throws: WorkerError.self) {
        try await withWorker(.producer, configure: configure) { _ in }
      }
      #expect("\(error!)".components(separatedBy: "process \(getpid())").count == 3, "\(error!)")
    }
    try await withWorker(.producer, configure: configure) { _ in }
  }

  @Test func `A prompt larger than the receive buffer is refused with both numbers before it is computed`() async throws
  {
    try await withWorker(
      .consumer,
      configure: { configuration in
        var settings = LMCachePush(role: .receiver, port: 0)
        settings.bufferBytes = 4 * 4096
        configuration.kvTransfer?.connector = .push(settings)
      }
    ) { decoder in
      let port = decoder.worker.transferPort ?? 0
      try await withWorker(
        .producer,
        configure: {
          $0.kvTransfer?.connector = .push(LMCachePush(role: .sender, port: port))
        }
      ) { prefiller in
        let answer = try await prefiller.post(
          "/v1/completions",
          ["model": "smollm2", "prompt": BodyValue.array((0..<100).map { BodyValue.integer($0) }), "max_tokens": 1])
        #expect(answer.status == 400)
        let message = answer.json["error"]?["message"]?.stringValue ?? ""
        #expect(message.contains("receive buffer") && message.contains("bytes"), "\(message)")
        #expect(prefiller.worker.statistics.promptTokens.computed == 0)
      }
    }
  }

  @Test func `Without its receiver a prefiller still answers`() async throws {
    let refusing = RefusingPort()
    try await withWorker(
      .producer,
      configure: {
        $0.kvTransfer?.connector = .push(LMCachePush(role: .sender, port: refusing.number))
      }
    ) { prefiller in
      let answer = try await prefiller.post(
        "/v1/completions", ["model": "smollm2", "prompt": [1, 2, 3], "max_tokens": 1])
      #expect(answer.status == 200 && answer.json["kv_transfer_params"] == .null)
    }
  }
}
