import Yams

extension DeploymentFile {
  /// The file that says the same, with every value: what `--print-config` prints.
  package static func text(_ deployment: Deployment) -> String {
    var top = [
      pair("model", deployment.model), ("served-model-names", strings(deployment.servedModelNames)),
    ]
    if deployment.workers.contains(where: { $0.engine == .vllm }) { top.append(pair("vllm", deployment.vllm)) }
    top += [
      ("workers", Node(deployment.workers.map(worker))), ("proxy", proxy(deployment.proxy)),
      ("supervision", supervision(deployment.supervision)), ("logs", logs(deployment.logs)),
    ]
    let body = try? Yams.serialize(node: mapping(top), width: -1, allowUnicode: true)
    return "# xpyd up FILE starts it, xpyd doctor FILE looks it over.\n" + (body ?? "")
  }

  private static func worker(_ worker: Deployment.Worker) -> Node {
    var pairs = [
      pair("name", worker.name), pair("role", worker.role.rawValue), pair("engine", worker.engine.rawValue),
    ]
    if worker.engine == .vllm { pairs.append(pair("connector", worker.connector.rawValue)) }
    pairs += [pair("host", worker.host), pair("port", worker.port)]
    if !worker.gpus.isEmpty { pairs.append(("gpus", Node(worker.gpus.map { Node("\($0)") }, .implicit, .flow))) }
    if let threads = worker.threads { pairs.append(pair("threads", threads)) }
    if let port = worker.sideChannelPort { pairs.append(pair("side-channel-port", port)) }
    if !worker.environment.isEmpty {
      pairs.append(
        ("environment", mapping(worker.environment.sorted { $0.key < $1.key }.map { ($0.key, text($0.value)) })))
    }
    if !worker.arguments.isEmpty { pairs.append(("arguments", strings(worker.arguments))) }
    return mapping(pairs)
  }

  private static func proxy(_ proxy: Deployment.ProxyProcess) -> Node {
    var pairs = [pair("host", proxy.host), pair("port", proxy.port)]
    for (key, value) in [
      ("handoff", proxy.handoff), ("prefill-policy", proxy.prefillPolicy), ("decode-policy", proxy.decodePolicy),
    ] {
      if let value { pairs.append(pair(key, value)) }
    }
    if !proxy.arguments.isEmpty { pairs.append(("arguments", strings(proxy.arguments))) }
    return mapping(pairs)
  }

  private static func supervision(_ supervision: Deployment.Supervision) -> Node {
    mapping([
      pair("stagger", supervision.stagger), pair("ready-timeout", supervision.readyTimeout),
      pair("grace", supervision.grace), pair("max-restarts", supervision.maxRestarts),
      pair("backoff", supervision.backoff), pair("backoff-limit", supervision.backoffLimit),
    ])
  }

  private static func logs(_ logs: Deployment.Logs) -> Node {
    mapping([pair("directory", logs.directory), pair("max-bytes", logs.maxBytes), pair("keep", logs.keep)])
  }

  private static func pair(_ key: String, _ value: String) -> (String, Node) { (key, text(value)) }
  private static func pair(_ key: String, _ value: Int) -> (String, Node) { (key, Node("\(value)")) }

  /// Whole seconds without a fraction.
  private static func pair(_ key: String, _ value: Double) -> (String, Node) {
    (key, Node(value == value.rounded() && abs(value) < 1e9 ? "\(Int(value))" : "\(value)"))
  }

  /// In quotes where YAML would read it as something else than text.
  private static func text(_ value: String) -> Node {
    let isPlain = value.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./".contains($0)) }
    let isNoNumber = value.contains(where: \.isLetter) || value.split(separator: ".").count > 2
    let isWord =
      isPlain && isNoNumber && !value.hasPrefix("-")
      && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(value.lowercased())
    return Node(value, .implicit, isWord || value == "." ? .plain : .doubleQuoted)
  }

  private static func strings(_ values: [String]) -> Node { Node(values.map(text), .implicit, .flow) }

  private static func mapping(_ pairs: [(String, Node)]) -> Node { Node(pairs.map { (Node($0.0), $0.1) }) }
}
