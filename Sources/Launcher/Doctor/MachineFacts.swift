import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// What `xpyd doctor` looks at, gathered once; the checks judge it.
package struct MachineFacts: Sendable {
  package struct GPU: Equatable, Sendable {
    package let index: Int
    package let totalBytes: Int
    package let freeBytes: Int

    package init(index: Int, totalBytes: Int, freeBytes: Int) {
      self.index = index
      self.totalBytes = totalBytes
      self.freeBytes = freeBytes
    }
  }

  package enum ModelAccess: Equatable, Sendable {
    /// It is on this machine.
    case local
    /// Hugging Face's status for the model's `config.json`.
    case answered(Int)
    case unreachable(String)
  }

  package struct PortHolder: Equatable, Sendable {
    package var worker: String
    package var port: Int
    package var holder: String?

    package init(worker: String, port: Int, holder: String?) {
      self.worker = worker
      self.port = port
      self.holder = holder
    }
  }

  package var availableBytes = 0
  package var sharedMemoryBytes = 0
  package var fileLimit = 0
  package var gpus: [GPU] = []
  package var takenPorts: [PortHolder] = []
  /// nil: it is not known how large the model is.
  package var modelBytes: Int?
  package var modelAccess = ModelAccess.local
  package var token: String?
  /// nil: there is no vllm command, or it is no Python script.
  package var python: [String: Result<PythonVersion, PythonInstallation.ImportFailure>]?
  /// Seconds that another host's clock is ahead, by its `Date`; nil: it did not answer.
  package var clockOffsets: [(host: String, seconds: Double?)] = []
  /// Bytes a second that TCP carried; nil: nobody listens there.
  package var bandwidths: [(host: String, bytesPerSecond: Double?)] = []

  package init() {}

  /// Looks at this machine, and asks the others of the deployment. Takes seconds: vLLM is imported.
  package static func gather(for deployment: Deployment, bandwidthPort: Int) async -> MachineFacts {
    var facts = MachineFacts()
    facts.availableBytes = availableMemory()
    facts.sharedMemoryBytes = freeBytes(of: "/dev/shm")
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    facts.fileLimit = Int(clamping: limit.rlim_cur)
    facts.gpus = await queryGPUs()
    facts.takenPorts = takenPorts(of: deployment)
    let model = ModelSize(of: deployment.model)
    facts.modelBytes = model.bytes
    let usesVLLM = deployment.workers.contains { $0.engine == .vllm && LocalHosts.contain($0.host) }
    if usesVLLM {
      facts.token = token()
      if !model.isLocal { facts.modelAccess = await askForAccess(to: deployment.model, token: facts.token) }
      if let path = Executables.find(deployment.vllm), let python = PythonInstallation(runs: path) {
        facts.python = await python.versions(
          of: [("vllm", "vllm"), ("nixl", "nixl"), ("lmcache", "lmcache")], importing: true)
      }
    }
    let remote = Set(deployment.workers.filter { !LocalHosts.contain($0.host) }.map(\.host)).sorted()
    for host in remote {
      let port = deployment.workers.first { $0.host == host }?.port ?? 0
      facts.clockOffsets.append((host, await clockOffset(host: host, port: port)))
      facts.bandwidths.append((host, await Bandwidth.measure(to: host, port: bandwidthPort)))
    }
    facts.bandwidths.insert(("127.0.0.1", await Bandwidth.measureLoopback()), at: 0)
    return facts
  }

  // MARK: One fact each

  /// What the kernel would give without swapping, or what is left under the control group's limit.
  private static func availableMemory() -> Int {
    let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let available = (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    func number(_ name: String) -> Int? {
      (try? String(contentsOfFile: "/sys/fs/cgroup/\(name)", encoding: .utf8))
        .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    guard let limit = number("memory.max"), let used = number("memory.current") else { return available }
    return min(available, max(0, limit - used))
  }

  private static func freeBytes(of path: String) -> Int {
    var status = statvfs()
    return statvfs(path, &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : 0
  }

  private static func queryGPUs() async -> [GPU] {
    guard let program = Executables.find("nvidia-smi") else { return [] }
    let query = ["--query-gpu=index,memory.total,memory.free", "--format=csv,noheader,nounits"]
    return parseGPUs(await Executables.output(of: program, query) ?? "")
  }

  /// `0, 81559, 80994` a line, in MiB.
  package static func parseGPUs(_ text: String) -> [GPU] {
    text.split(separator: "\n").compactMap { line in
      let numbers = line.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
      guard numbers.count == 3 else { return nil }
      return GPU(index: numbers[0], totalBytes: numbers[1] << 20, freeBytes: numbers[2] << 20)
    }
  }

  private static func takenPorts(of deployment: Deployment) -> [PortHolder] {
    let proxy = [(deployment.proxy.host, deployment.proxy.port, "proxy")]
    let workers = deployment.workers.flatMap { worker in
      ([worker.port] + worker.sideChannelPorts).map { (worker.host, $0, worker.name) }
    }
    return (proxy + workers).filter { LocalHosts.contain($0.0) && !PortCheck.isFree(host: $0.0, port: $0.1) }
      .map { _, port, name in
        let holder = PortCheck.holder(ofPort: port)
        return PortHolder(worker: name, port: port, holder: holder.map { "pid \($0.pid) (\($0.command))" })
      }
  }

  private static func token() -> String? {
    let environment = ProcessInfo.processInfo.environment
    let home = environment["HF_HOME"] ?? "\(environment["HOME"] ?? "")/.cache/huggingface"
    let stored = try? String(contentsOfFile: "\(home)/token", encoding: .utf8)
    let token = environment["HF_TOKEN"] ?? stored
    return token?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func askForAccess(to model: String, token: String?) async -> ModelAccess {
    guard let url = URL(string: "https://huggingface.co/\(model)/resolve/main/config.json") else {
      return .unreachable("'\(model)' makes no address")
    }
    var request = URLRequest(url: url)
    request.httpMethod = "HEAD"
    if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
    switch await HTTPGet.answer(to: request) {
    case .success(let answer): return .answered(answer.status)
    case .failure(let error): return .unreachable(error.description)
    }
  }

  private static func clockOffset(host: String, port: Int) async -> Double? {
    guard let url = URL(string: "http://\(host):\(port)/health"),
      case .success(let answer) = await HTTPGet.answer(to: URLRequest(url: url)), let date = answer.date
    else { return nil }
    return date.timeIntervalSince(Date())
  }
}

/// How large a model is, as far as can be told without loading it.
package struct ModelSize: Equatable, Sendable {
  /// nil: nobody knows.
  package let bytes: Int?
  package let isLocal: Bool

  /// - Parameter model: A file, a folder, or a Hugging Face name: in its cache, or with its parameters in the name.
  package init(of model: String, environment: [String: String] = ProcessInfo.processInfo.environment) {
    let home = environment["HF_HOME"] ?? "\(environment["HOME"] ?? "")/.cache/huggingface"
    let cached = "\(home)/hub/models--\(model.replacing("/", with: "--"))/snapshots"
    for path in [model, cached] {
      if let bytes = Self.weights(at: path) {
        (self.bytes, isLocal) = (bytes, true)
        return
      }
    }
    isLocal = FileManager.default.fileExists(atPath: model)
    bytes = Self.parameters(in: model).map { Int($0 * 2) }
  }

  /// Bytes of the weight files in a file or folder; nil if there are none.
  private static func weights(at path: String) -> Int? {
    func size(_ path: String) -> Int {
      var status = stat()
      return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
    func isWeights(_ path: String) -> Bool { [".safetensors", ".gguf", ".bin", ".pt"].contains { path.hasSuffix($0) } }
    if isWeights(path), size(path) > 0 { return size(path) }
    guard let names = FileManager.default.enumerator(atPath: path) else { return nil }
    let files = names.compactMap { $0 as? String }.filter(isWeights)
    return files.isEmpty ? nil : files.reduce(0) { $0 + size("\(path)/\($1)") }
  }

  /// `Llama-3.1-8B-Instruct` → 8e9. Weights are 16 bits each where nothing else is said.
  static func parameters(in name: String) -> Double? {
    for word in name.lowercased().split(whereSeparator: { "-_/ ".contains($0) }) {
      guard let unit = word.last, let factor = ["b": 1e9, "m": 1e6][unit], let number = Double(word.dropLast()) else {
        continue
      }
      return number * factor
    }
    return nil
  }
}
