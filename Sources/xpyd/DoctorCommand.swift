import ArgumentParser
import Foundation
import Launcher
import ModelStore

/// `xpyd doctor`: the example's troubleshooting list, looked at.
struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Look a deployment over before it starts, or while it runs.",
    discussion: """
      With 2p1d or a topology file: what it would need on this machine. With --url: how a running one fares, and which \
      pool holds it up. Ends with 1 if something is a failure.
      """)

  @Argument(help: ArgumentHelp("Prefillers and decoders, such as 2p1d, or a topology file.", valueName: "topology"))
  var topology = "2p1d"

  @OptionGroup(title: "Workers") var workers: FleetOptions

  @Option(help: ArgumentHelp("A running deployment's proxy, such as http://localhost:9000.", valueName: "url"))
  var url: String?

  @Option(help: ArgumentHelp("Between the two looks at a running deployment.", valueName: "seconds"))
  var interval = 2.0

  @Flag(help: "Receive what xpyd doctor on another host sends to measure the network between; Ctrl-C ends it.")
  var sink = false

  @Option(help: "Port of --sink.")
  var sinkPort = 18_515

  func validate() throws {
    guard (0...3600).contains(interval) else { throw ValidationError("--interval must be from 0 to 3600 seconds.") }
    guard (1...65_535).contains(sinkPort) else { throw ValidationError("--sink-port must be from 1 to 65535.") }
    if DeploymentFile.isPath(topology), !workers.given.isEmpty {
      throw ValidationError("\(workers.given.joined(separator: ", ")): \(topology) says this; change it there.")
    }
  }

  func run() async throws {
    if sink {
      print("receiving on port \(sinkPort); on the other host: xpyd doctor TOPOLOGY --sink-port \(sinkPort)")
      return try Bandwidth.runSink(port: sinkPort)
    }
    let findings = if let url { try await running(url) } else { try await starting() }
    print(findings.report)
    if findings.contains(where: { $0.verdict == .failure }) { throw ExitCode(1) }
  }

  private func starting() async throws -> [Finding] {
    var deployment: Deployment
    if DeploymentFile.isPath(topology) {
      deployment = try DeploymentFile.read(topology, vocabulary: .ofTheProxy)
    } else {
      do { deployment = try workers.deployment(try Topology(topology)) } catch let error as TopologyError {
        throw ValidationError("\(error)")
      }
    }
    if deployment.workers.allSatisfy({ $0.engine == .embedded }), let path = try? ModelStore.resolve(deployment.model) {
      deployment.model = path
    }
    let facts = await MachineFacts.gather(for: deployment, bandwidthPort: sinkPort)
    return DeploymentChecks(deployment, facts).findings
  }

  private func running(_ url: String) async throws -> [Finding] {
    let observer = FleetObserver(url: url.hasSuffix("/") ? String(url.dropLast()) : url)
    let before = try await observer.snapshot()
    try await Task.sleep(for: .seconds(interval))
    return RunningChecks(try await observer.snapshot(), since: before).findings
  }
}
