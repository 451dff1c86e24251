/// What is wrong with a deployment although each value by itself is right.
package struct Contradiction: Equatable, Sendable {
  /// The worker to change, by its place; nil: something else.
  package let worker: Int?
  package let text: String
}

package struct DeploymentError: Error, CustomStringConvertible {
  package let contradictions: [Contradiction]
  package var description: String { contradictions.map(\.text).joined(separator: "\n") }
}

extension Deployment {
  /// - Throws: `DeploymentError` with all that is wrong.
  package func validate() throws(DeploymentError) {
    let found = contradictions
    guard found.isEmpty else { throw DeploymentError(contradictions: found) }
  }

  /// In the order of the file.
  package var contradictions: [Contradiction] {
    rolesMissing + ranges + names + portClashes + gpuClashes + connectors + arguments
  }

  private var rolesMissing: [Contradiction] {
    var found: [String] = []
    let hasBoth = !workers(.both).isEmpty
    if workers(.decoder).isEmpty, !hasBoth { found.append("there is no decoder: add a worker with role: decoder") }
    if workers(.prefiller).isEmpty, !hasBoth {
      found.append("there is no prefiller: add a worker with role: prefiller")
    }
    if servedModelNames.isEmpty { found.append("served-model-names is empty: give one name at least") }
    return found.map { Contradiction(worker: nil, text: $0) }
  }

  private var ranges: [Contradiction] {
    var found: [Contradiction] = []
    func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) {
      guard !range.contains(value) else { return }
      let (low, high) = (Int(range.lowerBound), Int(range.upperBound))
      found.append(Contradiction(worker: nil, text: "\(name) must be from \(low) to \(high), not \(value)"))
    }
    check("stagger", supervision.stagger, 0...3600)
    check("ready-timeout", supervision.readyTimeout, 0...86_400)
    check("grace", supervision.grace, 0...86_400)
    check("max-restarts", Double(supervision.maxRestarts), 0...1_000_000)
    check("restart backoff", supervision.backoff, 0...86_400)
    check("restart backoff-limit", supervision.backoffLimit, 0...86_400)
    check("logs max-bytes", Double(logs.maxBytes), 4096...Double(1 << 50))
    check("logs keep", Double(logs.keep), 0...1000)
    return found
  }

  private var names: [Contradiction] {
    var seen: Set<String> = ["proxy"]
    return workers.enumerated().compactMap { place, worker in
      let isName =
        !worker.name.isEmpty
        && worker.name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
      if !isName {
        return Contradiction(worker: place, text: "'\(worker.name)' is no name: use letters, digits, - and _")
      }
      return seen.insert(worker.name).inserted
        ? nil : Contradiction(worker: place, text: "the name \(worker.name) is taken: each log needs a name of its own")
    }
  }

  private var portClashes: [Contradiction] {
    var holders = ["\(proxy.host):\(proxy.port)": "proxy"]
    var found: [Contradiction] = []
    for (place, worker) in workers.enumerated() {
      for port in [worker.port] + worker.sideChannelPorts {
        if !(1...65_535).contains(port) {
          found.append(
            Contradiction(worker: place, text: "\(worker.name): port \(port) is not from 1 to 65535"))
        } else if let other = holders.updateValue(worker.name, forKey: "\(worker.host):\(port)") {
          found.append(
            Contradiction(
              worker: place, text: "port \(port) on \(worker.host) is given to both \(other) and \(worker.name)"))
        }
      }
    }
    return found
  }

  private var gpuClashes: [Contradiction] {
    var holders: [String: String] = [:]
    var found: [Contradiction] = []
    for (place, worker) in workers.enumerated() {
      if worker.engine == .embedded, !worker.gpus.isEmpty {
        found.append(
          Contradiction(worker: place, text: "\(worker.name) has GPUs, but engine: embedded computes on the CPU"))
      }
      for gpu in worker.gpus {
        guard let other = holders.updateValue(worker.name, forKey: "\(worker.host) \(gpu)") else { continue }
        found.append(
          Contradiction(
            worker: place,
            text: "GPU \(gpu) on \(worker.host) is given to both \(other) and \(worker.name): give each its own"))
      }
    }
    return found
  }

  private var connectors: [Contradiction] {
    var found: [Contradiction] = []
    for (place, worker) in workers.enumerated() {
      if worker.engine != workers[0].engine {
        found.append(
          Contradiction(
            worker: place,
            text:
              "\(worker.name) is \(worker.engine), \(workers[0].name) \(workers[0].engine): KV cannot pass between engines"
          ))
      } else if worker.connector != workers[0].connector {
        found.append(
          Contradiction(
            worker: place,
            text:
              "\(worker.name) uses \(worker.connector), \(workers[0].name) \(workers[0].connector): all must use one"))
      }
    }
    guard workers.first?.connector == .lmcache else { return found }
    if workers[0].engine == .embedded {
      found.append(Contradiction(worker: 0, text: "connector: lmcache needs engine: vllm"))
    }
    if workers(.decoder).count != 1 {
      found.append(
        Contradiction(worker: nil, text: "with connector: lmcache prefillers send to one decoder: use nixl for several")
      )
    }
    return found
  }

  private var arguments: [Contradiction] {
    workers.enumerated().flatMap { place, worker in
      ["--port", "--host"].filter { flag in
        worker.arguments.contains { $0 == flag || $0.hasPrefix("\(flag)=") }
      }.map {
        Contradiction(worker: place, text: "\(worker.name): \($0) is said by the topology, not by arguments")
      }
    }
  }
}
