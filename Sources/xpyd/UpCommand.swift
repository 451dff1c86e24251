import ArgumentParser
import Foundation
import Launcher
import ModelStore

/// `xpyd up 2p1d`: a whole deployment on this machine.
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Start prefillers, decoders and the proxy, and stop them on Ctrl-C.",
    discussion: """
      Decoders start first, then prefillers, then the proxy; each stage is awaited on /health. Every process \
      writes a log of its name (prefiller1.log, decoder.log, proxy.log). If one dies, the end of its log is \
      shown; the proxy routes around a dead worker, and without the proxy the rest is stopped. Arguments after -- go to every worker (see xpyd serve --help).
      """)

  @Argument(help: "Prefillers and decoders, such as 2p1d.")
  var topology = "2p1d"

  @Option(help: "Model name or path of a .gguf file; fetched if it is not here yet.")
  var model = defaultModel

  @Option(
    parsing: .singleValue, help: ArgumentHelp("Name that clients use for the model (repeatable).", valueName: "name"))
  var servedModelName: [String] = []

  @Option(help: "IPv4 address that every process listens on.")
  var host = "127.0.0.1"

  @Option(help: "Port of the first prefiller; the others count up.")
  var prefillerPort = 8100

  @Option(help: "Port of the first decoder; the others count up.")
  var decoderPort = 8200

  @Option(help: "Port of the proxy.")
  var port = 9000

  @Option(help: "Compute threads of each worker (default: the processors, shared among the workers).")
  var threads: Int?

  @Option(help: "Folder for the log files.")
  var logDir = "."

  @Option(help: ArgumentHelp("How long each stage may take to answer /health.", valueName: "seconds"))
  var readyTimeout = 120

  @Option(help: ArgumentHelp("How long a process may take to stop before it is killed.", valueName: "seconds"))
  var grace = 10

  @Argument(parsing: .postTerminator, help: "Arguments for every worker.")
  var workerArguments: [String] = []

  func validate() throws {
    do { _ = try Topology(topology) } catch { throw ValidationError("\(error)") }
    guard PortCheck.isIPv4Address(host) else {
      throw ValidationError("--host must be an IPv4 address such as 127.0.0.1, not '\(host)'.")
    }
    for (name, value) in [("--threads", threads ?? 1), ("--ready-timeout", readyTimeout), ("--grace", grace)]
    where value < 1 {
      throw ValidationError("\(name) must be at least 1, not \(value).")
    }
    guard threads ?? 1 <= 1024 else { throw ValidationError("--threads must be at most 1024, not \(threads ?? 0).") }
    for (name, port) in [("--prefiller-port", prefillerPort), ("--decoder-port", decoderPort), ("--port", port)]
    where !(1...65_535 - 64).contains(port) {
      throw ValidationError("\(name) must be from 1 to 65471, not \(port).")
    }
  }

  func run() async throws {
    let topology = try Topology(topology)
    let modelPath = try await resolveModel()
    try FileManager.default.createDirectory(atPath: logDir, withIntermediateDirectories: true)
    let workers = topology.prefillers + topology.decoders
    var options = LaunchPlan.Options(
      topology: topology, modelPath: modelPath,
      servedModelNames: servedModelName.isEmpty ? [model] : servedModelName,
      threads: threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / workers))
    options.host = host
    options.prefillerPort = prefillerPort
    options.decoderPort = decoderPort
    options.proxyPort = port
    options.workerArguments = workerArguments
    let launcher = Launcher(
      .init(
        plan: LaunchPlan(options), executable: try ownExecutable(), host: host, logDirectory: logDir,
        readyTimeout: .seconds(readyTimeout), grace: .seconds(grace))
    ) { line in
      print(line)
      fflush(nil)
    }
    throw ExitCode(await launcher.run())
  }

  /// A path or a name in the cache; what is in neither is fetched.
  private func resolveModel() async throws -> String {
    if let path = try? ModelStore.resolve(model) { return path }
    if model.hasSuffix(".gguf"), !model.hasPrefix("hf:") { return try ModelStore.resolve(model) }
    let display = ModelPullDisplay()
    let pulled = try await ModelPull().run(model) { display.show($0) }
    display.finish()
    return pulled.path
  }

  private func ownExecutable() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }
}
