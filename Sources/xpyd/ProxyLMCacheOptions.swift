import ArgumentParser
import Proxy

/// Under `--handoff lmcache-disagg`, with the names that LMCache's own proxy has for them.
struct LMCacheOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where decoders take a transfer's beginning: a port for each rank.", valueName: "list"))
  var decoderInitPort = "8300"
  @Option(help: ArgumentHelp("Where decoders give out room for it: a port for each rank.", valueName: "list"))
  var decoderAllocPort = "8400"
  @Option(help: "Where prefillers tell that a transfer is complete.") var proxyHost = "localhost"
  @Option(help: "Port of the same.") var proxyPort = 8500
  @Option(help: ArgumentHelp("For that, from the prefill's answer on.", valueName: "seconds"))
  var notificationTimeout = 10.0

  func validate() throws {
    _ = try ports()
    guard (0...65_535).contains(proxyPort) else {
      throw ValidationError("--proxy-port must be from 0 to 65535, not \(proxyPort).")
    }
    try DeadlineOptions.check([("--notification-timeout", notificationTimeout)])
  }

  private func ports() throws -> (initial: [Int], alloc: [Int]) {
    let initial = try WorkerOptions.numbers(decoderInitPort, "--decoder-init-port")
    let alloc = try WorkerOptions.numbers(decoderAllocPort, "--decoder-alloc-port")
    guard initial.count == alloc.count, (initial + alloc).allSatisfy({ (1...65_535).contains($0) }) else {
      throw ValidationError("--decoder-init-port and --decoder-alloc-port: give a port from 1 to 65535 for each rank.")
    }
    return (initial, alloc)
  }

  /// - Parameter countsUp: Each decoder's ports are one more than those of the one before.
  func apply(to configuration: inout ProxyConfiguration, countsUp: Bool) throws {
    (configuration.lmcache.initPorts, configuration.lmcache.allocPorts) = try ports()
    configuration.lmcache.countsUp = countsUp
    configuration.lmcache.noticeHost = proxyHost
    configuration.lmcache.noticePort = proxyPort
    configuration.deadlines.notice = .seconds(notificationTimeout)
  }
}
