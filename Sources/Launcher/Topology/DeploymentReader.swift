import Yams

/// Reads the nodes of a topology file, and collects what is wrong with them.
struct DeploymentReader {
  typealias Problem = DeploymentFileError.Problem

  let vocabulary: DeploymentFile.Vocabulary
  var problems: [Problem] = []
  /// Where each worker begins.
  private(set) var workerLines: [Int?] = []

  init(vocabulary: DeploymentFile.Vocabulary) { self.vocabulary = vocabulary }

  /// - Returns: nil if what must be there is not.
  mutating func deployment(_ root: Node?) -> Deployment? {
    guard let root, let fields = fields(of: root, "the file", keys: DeploymentKeys.top) else {
      if problems.isEmpty { problems.append(Problem(line: nil, text: "the file is empty")) }
      return nil
    }
    let model = fields.text("model", &self)
    let names = fields.texts("served-model-names", &self)
    let workers = fields.list("workers", &self).map { worker($0) }
    for key in ["model", "workers"] where !fields.has(key) { missing(key, "the file", root) }
    guard let model else { return nil }
    var deployment = Deployment(
      model: model, servedModelNames: names ?? [model], workers: workers.compactMap { $0 })
    fields.set("vllm", &deployment.vllm, &self)
    deployment.assignSideChannels()
    let usesVLLM = deployment.workers.contains { $0.engine == .vllm }
    if usesVLLM { deployment.supervision.readyTimeout = 1200 }
    if let node = fields.node("proxy") { proxy(node, &deployment.proxy) }
    if let node = fields.node("supervision") { supervision(node, &deployment.supervision) }
    if let node = fields.node("logs") { logs(node, &deployment.logs) }
    return workers.contains { $0 == nil } ? nil : deployment
  }

  private mutating func worker(_ node: Node) -> Deployment.Worker? {
    workerLines.append(node.mark?.line)
    guard let fields = fields(of: node, "a worker", keys: DeploymentKeys.worker) else { return nil }
    let name = fields.text("name", &self)
    let role = fields.word("role", Deployment.Role.self, &self)
    let port = fields.number("port", 1...65_535, &self)
    for key in ["name", "role", "port"] where !fields.has(key) { missing(key, "a worker", node) }
    guard let name, let role, let port else { return nil }
    var worker = Deployment.Worker(name: name, role: role, port: port)
    if let engine = fields.word("engine", Deployment.Engine.self, &self) { worker.engine = engine }
    if let connector = fields.word("connector", Deployment.Connector.self, &self) { worker.connector = connector }
    fields.set("host", &worker.host, &self)
    worker.gpus = fields.list("gpus", &self).compactMap { number($0, "gpus", 0...1023) }
    worker.threads = fields.number("threads", 1...1024, &self)
    worker.sideChannelPort = fields.number("side-channel-port", 1...65_535, &self)
    worker.environment = fields.variables("environment", &self)
    worker.arguments = fields.texts("arguments", &self) ?? []
    return worker
  }

  private mutating func proxy(_ node: Node, _ proxy: inout Deployment.ProxyProcess) {
    guard let fields = fields(of: node, "proxy", keys: DeploymentKeys.proxy) else { return }
    fields.set("host", &proxy.host, &self)
    proxy.port = fields.number("port", 1...65_535, &self) ?? proxy.port
    proxy.handoff = fields.word("handoff", among: vocabulary.handoffs, &self)
    proxy.prefillPolicy = fields.word("prefill-policy", among: vocabulary.policies, &self)
    proxy.decodePolicy = fields.word("decode-policy", among: vocabulary.policies, &self)
    proxy.arguments = fields.texts("arguments", &self) ?? []
  }

  private mutating func supervision(_ node: Node, _ supervision: inout Deployment.Supervision) {
    guard let fields = fields(of: node, "supervision", keys: DeploymentKeys.supervision) else { return }
    fields.set("stagger", &supervision.stagger, &self)
    fields.set("ready-timeout", &supervision.readyTimeout, &self)
    fields.set("grace", &supervision.grace, &self)
    supervision.maxRestarts = fields.number("max-restarts", 0...1_000_000, &self) ?? supervision.maxRestarts
    fields.set("backoff", &supervision.backoff, &self)
    fields.set("backoff-limit", &supervision.backoffLimit, &self)
  }

  private mutating func logs(_ node: Node, _ logs: inout Deployment.Logs) {
    guard let fields = fields(of: node, "logs", keys: DeploymentKeys.logs) else { return }
    fields.set("directory", &logs.directory, &self)
    logs.maxBytes = fields.number("max-bytes", 4096...(1 << 50), &self) ?? logs.maxBytes
    logs.keep = fields.number("keep", 0...1000, &self) ?? logs.keep
  }

  // MARK: One value

  private mutating func fields(of node: Node, _ what: String, keys: [String]) -> Fields? {
    guard case .mapping(let mapping) = node else {
      wrong(node, "\(what) must be keys with values, such as \(keys[0]): …")
      return nil
    }
    var values: [String: Node] = [:]
    for (key, value) in mapping {
      guard let name = key.scalar?.string, keys.contains(name) else {
        let name = key.scalar?.string ?? "?"
        let nearest = Suggestion.nearest(to: name, among: keys).map { "did you mean '\($0)'?" }
        wrong(key, "unknown key '\(name)' in \(what): \(nearest ?? "known are \(keys.joined(separator: ", "))")")
        continue
      }
      values[name] = value
    }
    return Fields(what: what, values: values)
  }

  mutating func wrong(_ node: Node?, _ text: String) {
    problems.append(Problem(line: node?.mark?.line, text: text))
  }

  private mutating func missing(_ key: String, _ what: String, _ node: Node) {
    wrong(node, "\(what) has no \(key)")
  }

  mutating func number(_ node: Node, _ key: String, _ range: ClosedRange<Int>) -> Int? {
    guard let number = node.scalar.flatMap({ Int($0.string) }), range.contains(number) else {
      wrong(node, "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(shown(node))")
      return nil
    }
    return number
  }

  func shown(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar): "'\(scalar.string)'"
    case .mapping: "keys with values"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }
}

/// The keys of a file, in the order in which they are written.
enum DeploymentKeys {
  static let top = ["model", "served-model-names", "vllm", "workers", "proxy", "supervision", "logs"]
  static let worker = [
    "name", "role", "engine", "connector", "host", "port", "gpus", "threads", "side-channel-port", "environment",
    "arguments",
  ]
  static let proxy = ["host", "port", "handoff", "prefill-policy", "decode-policy", "arguments"]
  static let supervision = ["stagger", "ready-timeout", "grace", "max-restarts", "backoff", "backoff-limit"]
  static let logs = ["directory", "max-bytes", "keep"]
}

/// One mapping's known keys; each reading of a value tells the reader what is wrong with it.
private struct Fields {
  let what: String
  let values: [String: Node]

  func has(_ key: String) -> Bool { values[key] != nil }
  func node(_ key: String) -> Node? { values[key] }

  func text(_ key: String, _ reader: inout DeploymentReader) -> String? {
    guard let node = values[key] else { return nil }
    guard let text = node.scalar?.string, !text.isEmpty else {
      reader.wrong(node, "\(key) must be text, not \(reader.shown(node))")
      return nil
    }
    return text
  }

  func set(_ key: String, _ value: inout String, _ reader: inout DeploymentReader) {
    value = text(key, &reader) ?? value
  }

  func set(_ key: String, _ seconds: inout Double, _ reader: inout DeploymentReader) {
    guard let node = values[key] else { return }
    guard let number = node.scalar.flatMap({ Double($0.string) }), number >= 0, number <= 86_400 else {
      return reader.wrong(node, "\(key) must be seconds from 0 to 86400, not \(reader.shown(node))")
    }
    seconds = number
  }

  func number(_ key: String, _ range: ClosedRange<Int>, _ reader: inout DeploymentReader) -> Int? {
    values[key].flatMap { reader.number($0, key, range) }
  }

  func word(_ key: String, among known: [String], _ reader: inout DeploymentReader) -> String? {
    guard let text = text(key, &reader) else { return nil }
    if known.contains(text) { return text }
    let nearest = Suggestion.nearest(to: text, among: known).map { "did you mean '\($0)'?" }
    reader.wrong(
      values[key], "\(key) cannot be '\(text)': \(nearest ?? "it is one of \(known.joined(separator: ", "))")")
    return nil
  }

  func word<Word: RawRepresentable<String> & CaseIterable>(
    _ key: String, _: Word.Type, _ reader: inout DeploymentReader
  ) -> Word? {
    word(key, among: Word.allCases.map(\.rawValue), &reader).flatMap { Word(rawValue: $0) }
  }

  func list(_ key: String, _ reader: inout DeploymentReader) -> [Node] {
    guard let node = values[key] else { return [] }
    guard case .sequence(let sequence) = node else {
      reader.wrong(node, "\(key) must be a list, not \(reader.shown(node))")
      return []
    }
    return Array(sequence)
  }

  func texts(_ key: String, _ reader: inout DeploymentReader) -> [String]? {
    guard has(key) else { return nil }
    return list(key, &reader).compactMap { node in
      if let text = node.scalar?.string { return text }
      reader.wrong(node, "\(key) must hold text, not \(reader.shown(node))")
      return nil
    }
  }

  func variables(_ key: String, _ reader: inout DeploymentReader) -> [String: String] {
    guard let node = values[key] else { return [:] }
    guard case .mapping(let mapping) = node else {
      reader.wrong(node, "\(key) must be variables with values, not \(reader.shown(node))")
      return [:]
    }
    var variables: [String: String] = [:]
    for (name, value) in mapping {
      guard let name = name.scalar?.string, let value = value.scalar?.string else {
        reader.wrong(value, "\(key) must hold text, not \(reader.shown(value))")
        continue
      }
      variables[name] = value
    }
    return variables
  }
}
