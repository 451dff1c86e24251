/// The example's troubleshooting list, and what else keeps a deployment from starting: each a judgement over facts.
package struct DeploymentChecks: Sendable {
  let deployment: Deployment
  let facts: MachineFacts

  package init(_ deployment: Deployment, _ facts: MachineFacts) {
    self.deployment = deployment
    self.facts = facts
  }

  package var findings: [Finding] {
    [gpuAssignment, memory, vllm, nixl, ports, token, startupTiming, sharedMemory, files] + clocks + networks
  }

  private var usesVLLM: Bool { deployment.workers.contains { $0.engine == .vllm } }
  private var local: [Deployment.Worker] { deployment.workers.filter { LocalHosts.contain($0.host) } }

  private var gpuAssignment: Finding {
    let name = "GPU assignment"
    let clashes = deployment.contradictions.filter { $0.text.hasPrefix("GPU ") }
    if let clash = clashes.first {
      return Finding(name, .failure, clash.text, remedy: "give every worker GPUs of its own under gpus:")
    }
    let given = local.filter { !$0.gpus.isEmpty }
    guard !given.isEmpty else { return Finding(name, .skipped, "no worker has a GPU: all compute on the CPU") }
    let missing = given.flatMap(\.gpus).filter { gpu in !facts.gpus.contains { $0.index == gpu } }
    guard missing.isEmpty else {
      let there = facts.gpus.map { "\($0.index)" }.joined(separator: ", ")
      return Finding(
        name, .failure,
        "GPU \(missing.map(String.init).joined(separator: ", ")) is not there; nvidia-smi shows \(there.isEmpty ? "none" : there)",
        remedy: "start fewer workers, or change gpus:")
    }
    return Finding(
      name, .ok,
      given.map { "\($0.name): \($0.gpus.map(String.init).joined(separator: ","))" }.joined(separator: "; "))
  }

  private var memory: Finding {
    let onGPUs = local.filter { !$0.gpus.isEmpty }
    guard let model = facts.modelBytes else {
      return Finding(
        onGPUs.isEmpty ? "Memory" : "GPU memory", .skipped,
        "how large \(deployment.model) is cannot be told from its name or the caches")
    }
    if !onGPUs.isEmpty { return gpuMemory(model, onGPUs) }
    // The weights and about as much for KV and code; vLLM's runtime on top.
    let each = model * 2 + (usesVLLM ? 2 << 30 : 0)
    let need = each * local.count
    let evidence =
      "\(local.count) workers of a model of \(gib(model)) need about \(gib(need)), and \(gib(facts.availableBytes)) are free"
    return need <= facts.availableBytes
      ? Finding("Memory", .ok, evidence)
      : Finding("Memory", .failure, evidence, remedy: "start fewer workers, or take a smaller model or KV cache")
  }

  private func gpuMemory(_ model: Int, _ workers: [Deployment.Worker]) -> Finding {
    for worker in workers {
      // A tenth more than the weights is the least that leaves room for any KV.
      let need = model * 11 / 10 / worker.gpus.count
      for gpu in facts.gpus where worker.gpus.contains(gpu.index) && gpu.freeBytes < need {
        return Finding(
          "GPU memory", .failure,
          "\(worker.name) needs \(gib(need)) on GPU \(gpu.index), which has \(gib(gpu.freeBytes)) of \(gib(gpu.totalBytes)) free",
          remedy: "end what else runs on it (nvidia-smi), or spread the worker over more GPUs")
      }
    }
    return Finding("GPU memory", .ok, "\(gib(model)) of weights fit every worker's GPUs")
  }

  private var vllm: Finding { module("vLLM installation", "vllm", needed: usesVLLM) }

  private var nixl: Finding {
    let lmcache = deployment.workers.contains { $0.connector == .lmcache }
    return lmcache
      ? module("LMCache installation", "lmcache", needed: usesVLLM)
      : module("NIXL installation", "nixl", needed: usesVLLM)
  }

  private func module(_ check: String, _ name: String, needed: Bool) -> Finding {
    guard needed else { return Finding(check, .skipped, "the workers are of ours and need no Python") }
    guard let python = facts.python else {
      return Finding(
        check, .failure, "there is no program '\(deployment.vllm)' that runs Python",
        remedy: "pip install vllm nixl; then activate the environment, or say vllm: PATH")
    }
    switch python[name] {
    case .success(let version): return Finding(check, .ok, "\(name) \(version) can be imported")
    case .failure(let error):
      return Finding(
        check, .failure, "\(name) is installed and cannot be imported: \(error.text)",
        remedy: "install versions that fit each other: pip install --upgrade vllm \(name)")
    case nil:
      return Finding(check, .failure, "\(name) is not installed beside vLLM", remedy: "pip install \(name)")
    }
  }

  private var ports: Finding {
    guard let first = facts.takenPorts.first else {
      return Finding("Port conflicts", .ok, "all \(deployment.workers.count + 1) servers' ports are free")
    }
    let all = facts.takenPorts.map {
      "\($0.port) (\($0.worker)) by \($0.holder ?? "a process that is not ours to see")"
    }
    return Finding(
      "Port conflicts", .failure, "taken: " + all.joined(separator: "; "),
      remedy: "stop what listens there (if it is this deployment, that is well), or give \(first.worker) another port")
  }

  private var token: Finding {
    let name = "HF token"
    guard usesVLLM, facts.modelAccess != .local else {
      return Finding(name, .skipped, "\(deployment.model) is on this machine")
    }
    let remedy =
      "export HF_TOKEN=hf_… of an account that has accepted the licence at huggingface.co/\(deployment.model)"
    if let token = facts.token, !token.hasPrefix("hf_") {
      return Finding(name, .failure, "HF_TOKEN does not begin with hf_", remedy: remedy)
    }
    let who = facts.token == nil ? "without a token" : "with the token"
    switch facts.modelAccess {
    case .answered(200..<400): return Finding(name, .ok, "Hugging Face gives \(deployment.model) \(who)")
    case .answered(404):
      return Finding(name, .failure, "Hugging Face has no model \(deployment.model)", remedy: "check the model's name")
    case .answered(let status):
      return Finding(name, .failure, "Hugging Face answers \(status) \(who)", remedy: remedy)
    case .unreachable(let reason):
      return Finding(
        name, facts.token == nil ? .warning : .ok, "Hugging Face could not be asked: \(reason)",
        remedy: facts.token == nil ? remedy : nil)
    case .local: return Finding(name, .skipped, "the model is on this machine")
    }
  }

  private var startupTiming: Finding {
    let name = "Startup timing"
    let prefillers = local.filter { $0.role == .prefiller && $0.engine == .vllm }
    guard prefillers.count > 1 else {
      return Finding(name, .skipped, "there are no two vLLM prefillers on this machine")
    }
    let stagger = deployment.supervision.stagger
    return stagger > 0
      ? Finding(name, .ok, "prefillers start \(stagger) s apart")
      : Finding(
        name, .warning, "\(prefillers.count) prefillers load the model at the same moment",
        remedy: "start them apart: --stagger 5, or stagger: 5 under supervision")
  }

  private var sharedMemory: Finding {
    let least = usesVLLM ? 1 << 30 : 64 << 20
    let evidence = "/dev/shm has \(gib(facts.sharedMemoryBytes)) free"
    return facts.sharedMemoryBytes >= least
      ? Finding("Shared memory", .ok, evidence)
      : Finding(
        "Shared memory", .warning, "\(evidence); processes of one worker talk through it",
        remedy: "docker run --shm-size 8g, or in Kubernetes an emptyDir with medium: Memory at /dev/shm")
  }

  private var files: Finding {
    let evidence = "a process may open \(facts.fileLimit) files; each stream takes two at the proxy"
    return facts.fileLimit >= 8192
      ? Finding("File limits", .ok, evidence)
      : Finding("File limits", .warning, evidence, remedy: "ulimit -n 65536, or LimitNOFILE=65536 in the unit")
  }

  private var clocks: [Finding] {
    facts.clockOffsets.map { host, seconds in
      guard let seconds else {
        return Finding("Clock of \(host)", .skipped, "its worker does not answer yet, or without a Date")
      }
      let text = "\(Int(seconds.rounded())) s from ours (Date has whole seconds)"
      return abs(seconds) < 2
        ? Finding("Clock of \(host)", .ok, text)
        : Finding(
          "Clock of \(host)", .warning, text + ": logs of one request will not line up", remedy: "run chrony on both")
    }
  }

  private var networks: [Finding] {
    facts.bandwidths.map { host, rate in
      let name = "Network to \(host)"
      guard let rate else {
        return Finding(
          name, .skipped, "nobody receives there", remedy: "run xpyd doctor --sink there, and this again")
      }
      let text = "TCP carries \(tenths(rate / 1e9)) GB/s"
      // 1 GbE is 0.12: a prompt of 7,500 tokens of an 8B model (1 GB of KV) would take 8 s.
      return rate >= 1e9
        ? Finding(name, .ok, text)
        : Finding(
          name, .warning, "\(text): 1 GB of KV takes \(tenths(1e9 / rate)) s",
          remedy: "use a faster network (UCX_NET_DEVICES picks it), or put prefillers and decoders on one host")
    }
  }

  private func gib(_ bytes: Int) -> String { "\(tenths(Double(bytes) / Double(1 << 30))) GiB" }
  private func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
