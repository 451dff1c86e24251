/// Which processes a deployment consists of, with their arguments, in the order in which they start.
package struct LaunchPlan: Sendable {
  /// One process of the deployment.
  package struct Child: Sendable, Equatable {
    /// As in the example's log names: `prefiller1`, `decoder` (`decoder1` if there are several), `proxy`.
    package let name: String
    package let port: Int
    package let arguments: [String]
    package var logFile: String { "\(name).log" }
  }

  /// What the user may choose; the defaults are the example's.
  package struct Options: Sendable {
    package var topology: Topology
    package var modelPath: String
    /// The first is the one in the curl line.
    package var servedModelNames: [String]
    package var host = "127.0.0.1"
    package var prefillerPort = 8100
    package var decoderPort = 8200
    package var proxyPort = 9000
    /// Compute threads of each worker.
    package var threads: Int
    /// Appended to every worker's command line.
    package var workerArguments: [String] = []
    /// Appended to the proxy's command line.
    package var proxyArguments: [String] = []

    package init(topology: Topology, modelPath: String, servedModelNames: [String], threads: Int) {
      self.topology = topology
      self.modelPath = modelPath
      self.servedModelNames = servedModelNames
      self.threads = threads
    }
  }

  package let decoders: [Child]
  package let prefillers: [Child]
  package let proxy: Child
  /// The name that clients put into `model`.
  package let modelName: String

  /// A stage starts when all of the stage before it answer `/health`; they stop in reverse.
  package var stages: [[Child]] { [decoders, prefillers, [proxy]] }

  package init(_ options: Options) {
    let topology = options.topology
    modelName = options.servedModelNames[0]
    prefillers = (0..<topology.prefillers).map { index in
      .worker("prefiller\(index + 1)", role: "kv_producer", port: options.prefillerPort + index, options)
    }
    decoders = (0..<topology.decoders).map { index in
      let name = topology.decoders == 1 ? "decoder" : "decoder\(index + 1)"
      return .worker(name, role: "kv_consumer", port: options.decoderPort + index, options)
    }
    proxy = Child(
      name: "proxy", port: options.proxyPort,
      arguments: [
        "proxy", "--host", options.host, "--port", "\(options.proxyPort)",
        "--prefiller-host", options.host, "--prefiller-port", "\(options.prefillerPort)",
        "--num-prefillers", "\(topology.prefillers)",
        "--decoder-host", options.host, "--decoder-port", "\(options.decoderPort)",
        "--num-decoders", "\(topology.decoders)",
      ] + options.proxyArguments)
  }
}

extension LaunchPlan.Child {
  fileprivate static func worker(_ name: String, role: String, port: Int, _ options: LaunchPlan.Options) -> Self {
    let transfer = #"{"kv_connector":"NixlConnector","kv_role":"\#(role)"}"#
    return Self(
      name: name, port: port,
      arguments: [
        "serve", options.modelPath, "--host", options.host, "--port", "\(port)", "--threads", "\(options.threads)",
        "--kv-transfer-config", transfer, "--served-model-name",
      ] + options.servedModelNames + options.workerArguments)
  }
}
