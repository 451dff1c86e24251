import ArgumentParser
import Foundation
import Launcher
import ModelStore
import Proxy

/// `xpyd up 2p1d`: a whole deployment.
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Start prefillers, decoders and the proxy, and stop them on Ctrl-C.",
    discussion: """
      Decoders start first, then prefillers, then the proxy; each stage is awaited on /health. Every process \
      writes a log of its name (prefiller1.log, decoder.log, proxy.log). One that dies is started again, and the end of \
      its log is shown. Arguments after -- go to every worker (see xpyd serve --help, vllm serve --help). \
      docs/running-a-deployment.md has topology files and what is done about faults.
      """)

  @Argument(help: ArgumentHelp("Prefillers and decoders, such as 2p1d, or a topology file.", valueName: "topology"))
  var topology = "2p1d"

  @OptionGroup(title: "Workers") var workers: FleetOptions
  @OptionGroup(title: "Starting and stopping") var supervision: SupervisionOptions

  @Flag(help: "Write the topology file that says the same, and start nothing.")
  var printConfig = false

  func validate() throws {
    guard !DeploymentFile.isPath(topology) else {
      let flags = workers.given + supervision.given
      guard flags.isEmpty else {
        throw ValidationError("\(flags.joined(separator: ", ")): \(topology) says this; change it there.")
      }
      return
    }
    do { _ = try Topology(topology) } catch { throw ValidationError("\(error)") }
  }

  func run() async throws {
    var deployment = try readDeployment()
    if printConfig { return print(DeploymentFile.text(deployment), terminator: "") }
    let programs = try await prepare(&deployment)
    try Self.makeFolder(deployment.logs.directory)
    var configuration = Launcher.Configuration(
      plan: LaunchPlan(deployment, programs: programs), settings: deployment.supervision, logs: deployment.logs)
    configuration.sidePorts = deployment.workers.flatMap { worker in
      worker.sideChannelPorts.map { (worker.name, $0) }
    }
    if deployment.workers.contains(where: { $0.engine == .vllm }) {
      let (xpyd, grace) = (programs.xpyd, deployment.supervision.grace)
      configuration.orphanGuard = { mark in
        LaunchPlan.Command(executable: xpyd, arguments: ["guard", "--deployment", mark, "--grace", "\(grace)"])
      }
    }
    throw ExitCode(await Launcher(configuration, terminal: .standardOutput()).run())
  }

  /// From the file or the flags, and found free of contradictions.
  private func readDeployment() throws -> Deployment {
    guard !DeploymentFile.isPath(topology) else {
      return try DeploymentFile.read(topology, vocabulary: .ofTheProxy)
    }
    var deployment = try workers.deployment(try Topology(topology))
    supervision.apply(to: &deployment)
    try deployment.validate()
    return deployment
  }

  /// Finds the programs and the model, and writes the files that engines read.
  private func prepare(_ deployment: inout Deployment) async throws -> LaunchPlan.Programs {
    let local = deployment.workers.filter { LocalHosts.contain($0.host) }
    var programs = LaunchPlan.Programs(xpyd: try Self.ownExecutable())
    if local.contains(where: { $0.engine == .embedded }) {
      deployment.model = try await Self.resolve(deployment.model)
    }
    if local.contains(where: { $0.engine == .vllm }) {
      programs.vllm = try await workers.vllmEngine(program: deployment.vllm)
      try LMCacheConfiguration.write(for: deployment, into: programs.vllm.configurationDirectory)
    }
    return programs
  }

  /// A path or a name in the cache; what is in neither is fetched.
  private static func resolve(_ model: String) async throws -> String {
    if let path = try? ModelStore.resolve(model) { return path }
    if model.hasSuffix(".gguf"), !model.hasPrefix("hf:") { return try ModelStore.resolve(model) }
    let display = ModelPullDisplay()
    let pulled = try await ModelPull().run(model) { display.show($0) }
    display.finish()
    return pulled.path
  }

  private static func makeFolder(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw ValidationError(
        "The log folder \(path) cannot be made: a file may stand in its place, or its parent not be writable. Choose another."
      )
    }
  }

  private static func ownExecutable() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }
}

extension DeploymentFile.Vocabulary {
  static let ofTheProxy = Self(
    handoffs: HandoffKind.allCases.map(\.rawValue), policies: PolicyKind.allCases.map(\.rawValue))
}
