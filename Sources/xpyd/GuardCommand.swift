import ArgumentParser
import Launcher

/// `xpyd guard`: what `xpyd up` starts beside programs that are not xpyd itself.
struct GuardCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guard", abstract: "End a deployment's processes when standard input ends.", shouldDisplay: false)

  @Option var deployment: String
  @Option var grace: Double

  func run() { OrphanGuard.run(deployment: deployment, grace: .seconds(grace)) }
}
