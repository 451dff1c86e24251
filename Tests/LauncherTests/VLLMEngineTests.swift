import Foundation
import Testing

import Launcher

struct VLLMEngineTests {
  /// The example's 2p1d on three GPUs.
  private func children(
    _ connector: Deployment.Connector = .nixl, gpus: Int = 3, perWorker: Int = 1, version: PythonVersion? = nil,
    inherited: [String: String] = [:]
  ) throws -> [String: LaunchPlan.Command] {
    var sideChannel = 5600
    var deployment = Deployment(
      try Topology("2p1d"), model: "meta-llama/Llama-3.1-8B-Instruct", servedModelNames: ["llama"]
    ) { worker in
      (worker.engine, worker.connector) = (.vllm, connector)
      worker.arguments = ["--max-model-len", "4096"]
      if connector == .nixl { worker.sideChannelPort = sideChannel }
      sideChannel += perWorker
    }
    if gpus > 0 { try GPUInventory(usable: Array(0..<gpus)).assign(to: &deployment, perWorker: perWorker) }
    try deployment.validate()
    let engine = VLLMEngine(
      executable: "/v/bin/vllm", version: version, configurationDirectory: "configs", inherited: inherited)
    let plan = LaunchPlan(deployment, programs: .init(xpyd: "/bin/xpyd", vllm: engine))
    let pairs = plan.stages.joined().compactMap { child in child.command.map { (child.name, $0) } }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  private func value(of flag: String, in command: LaunchPlan.Command?) -> String? {
    guard let command, let place = command.arguments.firstIndex(of: flag) else { return nil }
    return command.arguments[place + 1]
  }

  @Test func `Environment and flags are the example's`() throws {
    let commands = try children(.lmcache, version: PythonVersion(0, 9, 2))
    let prefiller = try #require(commands["prefiller2"])
    #expect(prefiller.executable == "/v/bin/vllm")
    #expect(prefiller.arguments.prefix(2) == ["serve", "meta-llama/Llama-3.1-8B-Instruct"])
    #expect(prefiller.arguments.contains("--enforce-eager"))
    #expect(prefiller.arguments.contains("--disable-log-requests"))
    #expect(prefiller.arguments.suffix(2) == ["--max-model-len", "4096"])
    #expect(
      prefiller.environment == [
        "UCX_TLS": "cuda_ipc,cuda_copy,tcp", "LMCACHE_CONFIG_FILE": "configs/lmcache-prefiller-config.yaml",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn", "CUDA_VISIBLE_DEVICES": "1",
        "PYTHONHASHSEED": "0",
      ])
    #expect(
      value(of: "--kv-transfer-config", in: prefiller)
        == #"{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_producer","kv_connector_extra_config": "#
        + #"{"discard_partial_chunks": false, "lmcache_rpc_port": "producer2"}}"#)
    #expect(commands["decoder"]?.environment["CUDA_VISIBLE_DEVICES"] == "2")
    #expect(value(of: "--kv-transfer-config", in: commands["decoder"])?.contains("consumer1") == true)
  }

  @Test func `Each worker has a side channel of its own`() throws {
    let commands = try children(gpus: 6, perWorker: 2)
    #expect(commands["prefiller1"]?.environment["VLLM_NIXL_SIDE_CHANNEL_PORT"] == "5600")
    #expect(commands["prefiller2"]?.environment["VLLM_NIXL_SIDE_CHANNEL_PORT"] == "5602")
    #expect(commands["decoder"]?.environment["VLLM_NIXL_SIDE_CHANNEL_PORT"] == "5604")
    #expect(commands["decoder"]?.environment["CUDA_VISIBLE_DEVICES"] == "4,5")
    #expect(value(of: "--tensor-parallel-size", in: commands["decoder"]) == "2")
    #expect(
      value(of: "--kv-transfer-config", in: commands["decoder"])
        == #"{"kv_connector":"NixlConnector","kv_role":"kv_consumer"}"#)
  }

  @Test func `Without GPUs the KV goes through main memory`() throws {
    let commands = try children(gpus: 0)
    #expect(commands["prefiller1"]?.environment["CUDA_VISIBLE_DEVICES"] == nil)
    #expect(commands["prefiller1"]?.environment["UCX_TLS"] == "tcp,sm,self")
    #expect(
      value(of: "--kv-transfer-config", in: commands["prefiller1"])
        == #"{"kv_connector":"NixlConnector","kv_role":"kv_producer","kv_buffer_device":"cpu"}"#)
  }

  @Test func `What the user's environment says goes before our defaults`() throws {
    let commands = try children(inherited: ["UCX_TLS": "rc,cuda", "PYTHONHASHSEED": "7"])
    #expect(commands["decoder"]?.environment["UCX_TLS"] == "rc,cuda")
    #expect(commands["decoder"]?.environment["PYTHONHASHSEED"] == "7")
  }

  @Test(arguments: [("0.9.2", true), ("0.10.0", false), ("0.32.0+cpu", false), ("1.0", false)])
  func `The flag that newer versions refuse is left out for them`(version: String, isThere: Bool) throws {
    let commands = try children(version: PythonVersion(version))
    #expect(commands["decoder"]?.arguments.contains("--disable-log-requests") == isThere)
  }

  @Test func `Too few GPUs are an error that counts them`() throws {
    let error = #expect(throws: GPUShortage.self) { try children(gpus: 2) }
    #expect(error?.description.contains("3 workers with 1 GPU each need 3, and there are 2 (0, 1)") == true)
  }

  @Test func `The files of LMCache are the example's`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("configs-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let deployment = Deployment(try Topology("2p1d"), model: "m", servedModelNames: ["m"]) { worker in
      (worker.engine, worker.connector, worker.host) = (.vllm, .lmcache, "localhost")
      worker.gpus = [worker.port]
    }
    try LMCacheConfiguration.write(for: deployment, into: folder)
    for (role, word) in [("prefiller", "sender"), ("decoder", "receiver")] {
      let text = try String(contentsOfFile: "\(folder)/lmcache-\(role)-config.yaml", encoding: .utf8)
      #expect(
        text == """
          local_cpu: False
          max_local_cpu_size: 0
          max_local_disk_size: 0
          remote_serde: NULL

          enable_nixl: True
          nixl_role: "\(word)"
          nixl_peer_host: "localhost"
          nixl_peer_port: 55555
          nixl_buffer_size: 1073741824 # 1GB
          nixl_buffer_device: "cuda"
          nixl_enable_gc: True

          """)
    }
  }
}
