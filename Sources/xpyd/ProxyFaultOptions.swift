import ArgumentParser
import Proxy

/// What the proxy does about workers that fail; `docs/failures.md` has the rules.
struct FaultOptions: ParsableArguments {
  @Option(help: "Workers that one leg may be tried on.") var legAttempts = 3
  @Option(help: "Prefills that may be tried again at a time, in percent of the running requests; 3 always may.")
  var retryBudget = 20
  @Option(help: "How often a stream whose decoder fails may go on on another; 0: decoders are not asked for token ids.")
  var migrations = 3
  @Option(help: "Failed answers in a row after which a worker is left alone for a while.") var ejectAfter = 3
  @Option(help: ArgumentHelp("How often each worker is asked for /health.", valueName: "seconds"))
  var healthInterval = 2.0

  @Option(
    help: ArgumentHelp("How long what runs on a worker that was removed may take to end.", valueName: "seconds"))
  var drainTimeout = 120.0

  func validate() throws {
    for (name, value, range) in [
      ("--leg-attempts", legAttempts, 1...100), ("--retry-budget", retryBudget, 0...100),
      ("--migrations", migrations, 0...100), ("--eject-after", ejectAfter, 1...1000),
    ] where !range.contains(value) {
      throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
    }
    try DeadlineOptions.check([("--health-interval", healthInterval), ("--drain-timeout", drainTimeout)])
  }

  func apply(to configuration: inout ProxyConfiguration) {
    configuration.attemptsPerLeg = legAttempts
    configuration.retryBudget.share = Double(retryBudget) / 100
    configuration.migrations = migrations
    configuration.healthCheck.ejectAfter = ejectAfter
    configuration.drain = .seconds(drainTimeout)
    configuration.healthCheck.interval = .seconds(healthInterval)
  }
}
