import ArgumentParser
import Foundation
import Launcher
import ModelStore

/// What `xpyd up` starts, if no file says so.
struct FleetOptions: ParsableArguments {
  @Option(help: "What each worker is: embedded (xpyd serve) or vllm (vllm serve).")
  var engine: Deployment.Engine?

  @Option(
    help:
      "For ours a name, fetched if it is not here yet, or a path of a .gguf file or a Hugging Face folder; else what vllm serve takes."
  )
  var model: String?

  @Option(
    parsing: .singleValue, help: ArgumentHelp("Name that clients use for the model (repeatable).", valueName: "name"))
  var servedModelName: [String] = []

  @Option(help: "IPv4 address that every process listens on (default: 127.0.0.1).")
  var host: String?

  @Option(help: "Port of the first prefiller; the others count up (default: 8100).")
  var prefillerPort: Int?

  @Option(help: "Port of the first decoder; the others count up (default: 8200).")
  var decoderPort: Int?

  @Option(help: "Port of the proxy (default: 9000).")
  var port: Int?

  @Option(help: "Compute threads of each worker of ours (default: the processors, shared among the workers).")
  var threads: Int?

  @Option(help: "The vllm command (default: the one on the search path).")
  var vllm: String?

  @Option(help: "How vLLM hands KV over: nixl, or lmcache with the example's two files in configs/ (default: nixl).")
  var connector: Deployment.Connector?

  @Option(
    help: ArgumentHelp(
      "GPUs for vLLM's workers, prefillers first: a list, or none to compute on the CPU (default: all that are there).",
      valueName: "list|none"))
  var gpus: String?

  @Option(help: "GPUs of each worker; several are a tensor-parallel group (default: 1).")
  var gpusPerWorker: Int?

  @Option(help: "First port of vLLM's NIXL side channels; the workers' count up (default: 5600).")
  var sideChannelPort: Int?

  @Argument(parsing: .postTerminator, help: "Arguments for every worker.")
  var workerArguments: [String] = []

  /// Names of what was said, for a file that says it, too.
  var given: [String] {
    let flags: [(String, Bool)] = [
      ("--engine", engine != nil), ("--model", model != nil), ("--served-model-name", !servedModelName.isEmpty),
      ("--host", host != nil), ("--prefiller-port", prefillerPort != nil), ("--decoder-port", decoderPort != nil),
      ("--port", port != nil), ("--threads", threads != nil), ("--vllm", vllm != nil),
      ("--connector", connector != nil), ("--gpus", gpus != nil), ("--gpus-per-worker", gpusPerWorker != nil),
      ("--side-channel-port", sideChannelPort != nil), ("arguments after --", !workerArguments.isEmpty),
    ]
    return flags.filter(\.1).map(\.0)
  }

  func validate() throws {
    if let host, !PortCheck.isIPv4Address(host) {
      throw ValidationError("--host must be an IPv4 address such as 127.0.0.1, not '\(host)'.")
    }
    for (name, value, range) in [
      ("--threads", threads, 1...1024), ("--gpus-per-worker", gpusPerWorker, 1...64),
      ("--prefiller-port", prefillerPort, 1...65_471), ("--decoder-port", decoderPort, 1...65_471),
      ("--port", port, 1...65_535), ("--side-channel-port", sideChannelPort, 1...61_440),
    ] {
      if let value, !range.contains(value) {
        throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
      }
    }
    guard engine == .vllm || vllm == nil && connector == nil && gpus == nil && gpusPerWorker == nil else {
      throw ValidationError("--vllm, --connector, --gpus and --gpus-per-worker need --engine vllm.")
    }
  }

  func deployment(_ topology: Topology) throws -> Deployment {
    let model = model ?? defaultModel
    guard engine != .vllm || self.model != nil else {
      throw ValidationError("--engine vllm needs --model: a Hugging Face name or folder, such as the example's.")
    }
    let count = topology.prefillers + topology.decoders
    let (perWorker, engine) = (gpusPerWorker ?? 1, engine ?? .embedded)
    var deployment = Deployment(
      topology, model: model, servedModelNames: servedModelName.isEmpty ? [model] : servedModelName,
      prefillerPort: prefillerPort ?? 8100, decoderPort: decoderPort ?? 8200
    ) { worker in
      worker.engine = engine
      worker.host = host ?? worker.host
      worker.arguments = workerArguments
      worker.connector = connector ?? .nixl
      if engine == .embedded {
        worker.threads = threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / count)
      }
    }
    deployment.vllm = vllm ?? deployment.vllm
    deployment.proxy.host = host ?? deployment.proxy.host
    deployment.proxy.port = port ?? deployment.proxy.port
    if connector == .lmcache { deployment.proxy.handoff = "lmcache" }
    let inventory = try inventory()
    if engine == .vllm, !inventory.usable.isEmpty { try inventory.assign(to: &deployment, perWorker: perWorker) }
    deployment.assignSideChannels(from: sideChannelPort ?? 5600)
    return deployment
  }

  private func inventory() throws -> GPUInventory {
    guard let gpus, engine == .vllm else { return .ofThisMachine() }
    guard gpus != "none" else { return GPUInventory(usable: []) }
    let numbers = gpus.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.allSatisfy({ $0 ?? -1 >= 0 }) else {
      throw ValidationError("--gpus must be numbers such as 0,1,2, or none, not '\(gpus)'.")
    }
    return GPUInventory(usable: numbers.compactMap { $0 })
  }

  /// - Throws: If there is no such program.
  func vllmEngine(program: String) async throws -> VLLMEngine {
    guard let path = Executables.find(program) else {
      throw ValidationError(
        """
        There is no program '\(program)'. Install vLLM and NIXL (pip install vllm nixl) and activate their environment, \
        or give the path of the command: --vllm /path/to/vllm, or vllm: in the topology file.
        """)
    }
    let versions = await PythonInstallation(runs: path)?.versions(of: [("vllm", "vllm")], importing: false)
    return VLLMEngine(
      executable: path, version: try? versions?["vllm"]?.get(), configurationDirectory: "configs",
      inherited: ProcessInfo.processInfo.environment)
  }
}

/// How `xpyd up` starts, watches and stops, if no file says so.
struct SupervisionOptions: ParsableArguments {
  @Option(help: "Folder for the log files (default: .).")
  var logDir: String?

  @Option(help: ArgumentHelp("Between two starts of one stage (default: 0).", valueName: "seconds"))
  var stagger: Double?

  @Option(
    help: ArgumentHelp(
      "How long a process may take to answer /health (default: 120; vLLM: 1200).", valueName: "seconds"))
  var readyTimeout: Double?

  @Option(
    help: ArgumentHelp("How long a process may take to stop before it is killed (default: 10).", valueName: "seconds"))
  var grace: Double?

  @Option(help: "How often in a row a process that dies is started again (default: 5).")
  var maxRestarts: Int?

  @Option(
    help: ArgumentHelp("Before the first restart; doubled each time up to 30 (default: 1).", valueName: "seconds"))
  var restartBackoff: Double?

  var given: [String] {
    let flags: [(String, Bool)] = [
      ("--log-dir", logDir != nil), ("--stagger", stagger != nil), ("--ready-timeout", readyTimeout != nil),
      ("--grace", grace != nil), ("--max-restarts", maxRestarts != nil), ("--restart-backoff", restartBackoff != nil),
    ]
    return flags.filter(\.1).map(\.0)
  }

  /// What is out of range is found by `Deployment.validate`.
  func apply(to deployment: inout Deployment) {
    if deployment.workers.contains(where: { $0.engine == .vllm }) { deployment.supervision.readyTimeout = 1200 }
    deployment.logs.directory = logDir ?? deployment.logs.directory
    deployment.supervision.stagger = stagger ?? deployment.supervision.stagger
    deployment.supervision.readyTimeout = readyTimeout ?? deployment.supervision.readyTimeout
    deployment.supervision.grace = grace ?? deployment.supervision.grace
    deployment.supervision.maxRestarts = maxRestarts ?? deployment.supervision.maxRestarts
    deployment.supervision.backoff = restartBackoff ?? deployment.supervision.backoff
    deployment.supervision.backoffLimit = max(deployment.supervision.backoff, deployment.supervision.backoffLimit)
  }
}

extension Deployment.Engine: ExpressibleByArgument {}
extension Deployment.Connector: ExpressibleByArgument {}
