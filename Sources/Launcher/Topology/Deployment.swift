/// What runs where, and how it is looked after: the same value whether it came from a command line or a file.
package struct Deployment: Equatable, Sendable {
  /// As the workers get it: a name or path of a `.gguf` file for engines of ours, what `vllm serve` takes for vLLM's.
  package var model: String
  /// What clients may put into `model`; the first is the one in the curl line.
  package var servedModelNames: [String]
  /// The command that runs vLLM's workers.
  package var vllm = "vllm"
  package var workers: [Worker]
  package var proxy = ProxyProcess()
  package var supervision = Supervision()
  package var logs = Logs()

  package init(model: String, servedModelNames: [String], workers: [Worker]) {
    self.model = model
    self.servedModelNames = servedModelNames
    self.workers = workers
  }

  /// One process that prefills, decodes or does both.
  package struct Worker: Equatable, Sendable {
    /// As in the example's log names: `prefiller1`, `decoder`.
    package var name: String
    package var role: Role
    package var engine: Engine = .embedded
    package var connector: Connector = .nixl
    /// One that is not of this machine is not started but awaited and routed to.
    package var host = "127.0.0.1"
    package var port: Int
    /// The GPUs that it alone sees; several make a tensor-parallel group. None: it computes on the CPU.
    package var gpus: [Int] = []
    /// Compute threads of an engine of ours; nil leaves it to the engine.
    package var threads: Int?
    /// Where vLLM's NIXL connector talks to its peers, one port for each GPU.
    package var sideChannelPort: Int?
    /// Set for this process on top of the launcher's own environment.
    package var environment: [String: String] = [:]
    /// Appended to its command line.
    package var arguments: [String] = []

    package init(name: String, role: Role, port: Int) {
      self.name = name
      self.role = role
      self.port = port
    }

    /// The ports that it binds besides `port`.
    package var sideChannelPorts: [Int] {
      guard engine == .vllm, connector == .nixl, let sideChannelPort else { return [] }
      return (0..<max(1, gpus.count)).map { sideChannelPort + $0 }
    }
  }

  package enum Role: String, CaseIterable, Sendable {
    case prefiller
    case decoder
    case both

    /// vLLM's word in `--kv-transfer-config`.
    var kvRole: String {
      switch self {
      case .prefiller: "kv_producer"
      case .decoder: "kv_consumer"
      case .both: "kv_both"
      }
    }
  }

  package enum Engine: String, CaseIterable, Sendable {
    /// `xpyd serve`.
    case embedded
    /// `vllm serve`.
    case vllm
  }

  package enum Connector: String, CaseIterable, Sendable {
    case nixl
    case lmcache
  }

  package struct ProxyProcess: Equatable, Sendable {
    package var host = "127.0.0.1"
    package var port = 9000
    /// nil leaves these to the proxy.
    package var handoff: String?
    package var prefillPolicy: String?
    package var decodePolicy: String?
    package var arguments: [String] = []

    package init() {}
  }

  /// Times in seconds, as the file has them.
  package struct Supervision: Equatable, Sendable {
    /// Between two starts of one stage.
    package var stagger = 0.0
    /// How long a process may take until it answers `/health`.
    package var readyTimeout = 120.0
    /// How long a process may take to stop before it is ended by force.
    package var grace = 10.0
    /// How often in a row a process that dies is started again.
    package var maxRestarts = 5
    /// Before the first restart; doubled each time, up to `backoffLimit`.
    package var backoff = 1.0
    package var backoffLimit = 30.0

    package init() {}
  }

  package struct Logs: Equatable, Sendable {
    package var directory = "."
    /// A log that is larger is renamed to `….log.1`, and a new one begun.
    package var maxBytes = 64 << 20
    /// How many renamed logs of one process are kept.
    package var keep = 3

    package init() {}
  }
}

extension Deployment {
  /// The example's shape: `prefiller1` … at 8100 …, `decoder` (`decoder1` … if there are several) at 8200 ….
  package init(
    _ topology: Topology, model: String, servedModelNames: [String], prefillerPort: Int = 8100, decoderPort: Int = 8200,
    configure: (inout Worker) -> Void = { _ in }
  ) {
    let prefillers = (0..<topology.prefillers).map { index in
      Worker(name: "prefiller\(index + 1)", role: .prefiller, port: prefillerPort + index)
    }
    let decoders = (0..<topology.decoders).map { index in
      let name = topology.decoders == 1 ? "decoder" : "decoder\(index + 1)"
      return Worker(name: name, role: .decoder, port: decoderPort + index)
    }
    var workers = prefillers + decoders
    for index in workers.indices { configure(&workers[index]) }
    self.init(model: model, servedModelNames: servedModelNames, workers: workers)
  }

  /// Gives vLLM's workers that have none a side channel, one port for each GPU, counting up.
  package mutating func assignSideChannels(from first: Int = 5600) {
    var next = first
    for index in workers.indices where workers[index].engine == .vllm && workers[index].connector == .nixl {
      workers[index].sideChannelPort = workers[index].sideChannelPort ?? next
      next = max(next, (workers[index].sideChannelPorts.last ?? next) + 1)
    }
  }

  func workers(_ role: Role) -> [Worker] { workers.filter { $0.role == role } }
}
