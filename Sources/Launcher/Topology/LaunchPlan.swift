/// Which processes a deployment consists of, with their command lines, in the order in which they start.
package struct LaunchPlan: Sendable {
  /// One process of the deployment.
  package struct Child: Sendable, Equatable {
    package let name: String
    package let host: String
    package let port: Int
    /// nil: it runs on another machine, is awaited and not started.
    package let command: Command?
    package var logFile: String { "\(name).log" }
  }

  package struct Command: Sendable, Equatable {
    package var executable: String
    package var arguments: [String]
    /// On top of the launcher's own environment.
    package var environment: [String: String] = [:]

    package init(executable: String, arguments: [String], environment: [String: String] = [:]) {
      self.executable = executable
      self.arguments = arguments
      self.environment = environment
    }
  }

  /// Where the programs are, and what is known of the machine.
  package struct Programs: Sendable {
    package var xpyd: String
    package var vllm: VLLMEngine
    /// Whether a worker's host is this machine.
    package var isLocal: @Sendable (String) -> Bool

    package init(
      xpyd: String, vllm: VLLMEngine = VLLMEngine(), isLocal: @escaping @Sendable (String) -> Bool = LocalHosts.contain
    ) {
      self.xpyd = xpyd
      self.vllm = vllm
      self.isLocal = isLocal
    }
  }

  /// A stage starts when all of the stage before it answer `/health`; they stop in reverse.
  package let stages: [[Child]]
  package let proxy: Child
  /// The name that clients put into `model`.
  package let modelName: String
  /// Of each child, in start order; nil: the proxy.
  package let roles: [Deployment.Role?]

  package init(_ deployment: Deployment, programs: Programs) {
    let embedded = EmbeddedEngine(executable: programs.xpyd)
    modelName = deployment.servedModelNames[0]
    proxy = Child(
      name: "proxy", host: deployment.proxy.host, port: deployment.proxy.port,
      command: embedded.proxyCommand(deployment))
    func child(_ worker: Deployment.Worker) -> Child {
      let command =
        switch worker.engine {
        case .embedded: embedded.command(for: worker, in: deployment)
        case .vllm: programs.vllm.command(for: worker, in: deployment)
        }
      return Child(
        name: worker.name, host: worker.host, port: worker.port,
        command: programs.isLocal(worker.host) ? command : nil)
    }
    let workers = [deployment.workers(.decoder) + deployment.workers(.both), deployment.workers(.prefiller)]
      .filter { !$0.isEmpty }
    roles = workers.joined().map(\.role) + [nil]
    stages = workers.map { $0.map(child) } + [[proxy]]
  }
}
