/// Command lines and environments of real vLLM servers, as the example's `disagg_vllm_launcher.sh` starts them.
package struct VLLMEngine: Sendable {
  /// The `vllm` command.
  package var executable: String
  /// nil if nobody could say.
  package var version: PythonVersion?
  /// Where `lmcache-prefiller-config.yaml` and its sibling are written.
  package var configurationDirectory: String
  /// The launcher's environment: what a person has set there goes before our defaults.
  package var inherited: [String: String]

  package init(
    executable: String = "vllm", version: PythonVersion? = nil, configurationDirectory: String = "configs",
    inherited: [String: String] = [:]
  ) {
    self.executable = executable
    self.version = version
    self.configurationDirectory = configurationDirectory
    self.inherited = inherited
  }

  func command(for worker: Deployment.Worker, in deployment: Deployment) -> LaunchPlan.Command {
    LaunchPlan.Command(
      executable: executable, arguments: arguments(for: worker, in: deployment),
      environment: environment(for: worker))
  }

  private func arguments(for worker: Deployment.Worker, in deployment: Deployment) -> [String] {
    var arguments = [
      "serve", deployment.model, "--host", worker.host, "--port", "\(worker.port)", "--served-model-name",
    ]
    arguments += deployment.servedModelNames
    arguments += ["--enforce-eager"]
    // Since 0.10 requests are logged only if asked for, and the example's flag is gone.
    if let version, version < PythonVersion(0, 10) { arguments.append("--disable-log-requests") }
    if worker.gpus.count > 1 { arguments += ["--tensor-parallel-size", "\(worker.gpus.count)"] }
    arguments += ["--kv-transfer-config", transferConfiguration(for: worker, in: deployment)]
    return arguments + worker.arguments
  }

  /// vLLM's JSON. A worker without GPUs moves its KV through main memory.
  private func transferConfiguration(for worker: Deployment.Worker, in deployment: Deployment) -> String {
    switch worker.connector {
    case .nixl:
      let device = worker.gpus.isEmpty ? #","kv_buffer_device":"cpu""# : ""
      return #"{"kv_connector":"NixlConnector","kv_role":"\#(worker.role.kvRole)"\#(device)}"#
    case .lmcache:
      let place = (deployment.workers(worker.role).firstIndex { $0.name == worker.name } ?? 0) + 1
      let port = worker.role == .decoder ? "consumer\(place)" : "producer\(place)"
      // Without it the decoder misses the last, partial chunk of every prompt.
      let skip = worker.role == .decoder ? #", "skip_last_n_tokens": 1"# : ""
      return #"{"kv_connector":"LMCacheConnectorV1","kv_role":"\#(worker.role.kvRole)","kv_connector_extra_config": "#
        + #"{"discard_partial_chunks": false, "lmcache_rpc_port": "\#(port)"\#(skip)}}"#
    }
  }

  private func environment(for worker: Deployment.Worker) -> [String: String] {
    var environment = [
      "UCX_TLS": worker.gpus.isEmpty ? "tcp,sm,self" : "cuda_ipc,cuda_copy,tcp",
      "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
      "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
      // Equal prefixes hash alike in all processes.
      "PYTHONHASHSEED": "0",
    ]
    for key in environment.keys { if let own = inherited[key] { environment[key] = own } }
    if !worker.gpus.isEmpty {
      environment["CUDA_VISIBLE_DEVICES"] = worker.gpus.map(String.init).joined(separator: ",")
    }
    if worker.connector == .nixl, let port = worker.sideChannelPort {
      environment["VLLM_NIXL_SIDE_CHANNEL_HOST"] = worker.host
      environment["VLLM_NIXL_SIDE_CHANNEL_PORT"] = "\(port)"
    }
    if worker.connector == .lmcache {
      environment["LMCACHE_CONFIG_FILE"] = LMCacheConfiguration(role: worker.role).path(in: configurationDirectory)
    }
    return environment.merging(worker.environment) { $1 }
  }
}
