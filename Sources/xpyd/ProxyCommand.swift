import ArgumentParser
import Foundation
import Logging
import Proxy
import UnixSignals

/// `xpyd proxy`: the router in front of prefillers and decoders, with the example's flags.
struct ProxyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "proxy",
    abstract: "Route requests over prefillers and decoders.",
    discussion: """
      Hosts and ports take comma lists. One host and one port: ports count up to the number of workers; one host and \
      many ports: each port; many hosts and one port: each host; many of both: one to one.
      """)

  @Option(help: "Address to listen on.")
  var host = "localhost"

  @Option(help: "Port to listen on; 0: any free one.")
  var port = 8000

  @OptionGroup(title: "Workers") var workers: WorkerOptions
  @OptionGroup(title: "Workers that come and go") var discovery: DiscoveryOptions
  @OptionGroup(title: "LMCache's disagg_spec") var lmcache: LMCacheOptions
  @OptionGroup(title: "Routing") var routing: RoutingOptions
  @OptionGroup(title: "Edge") var edge: EdgeOptions
  @OptionGroup(title: "Traces") var tracing: TracingOptions
  @OptionGroup(title: "Admission") var admission: AdmissionOptions
  @OptionGroup(title: "Deadlines, in seconds") var deadlines: DeadlineOptions
  @OptionGroup(title: "Workers that fail") var faults: FaultOptions

  @Option(
    help: """
      nixl: kv_transfer_params; lmcache: two plain requests; lmcache-disagg: disagg_spec; sglang: bootstrap_room; none: workers that do both; auto: \
      what the workers tell, else nixl.
      """)
  var handoff = HandoffKind.auto

  @Flag(
    inversion: .prefixedNo,
    help: "Have decoders pull a prompt's KV while it is computed, from workers that can (with --handoff nixl).")
  var earlyHandoff = true

  @Option(help: "Event loops; one for each processor, but not more than 8, if it is not given.")
  var threads = max(1, min(8, ProcessInfo.processInfo.activeProcessorCount))

  @Option(help: ArgumentHelp("How often the TTFT block is written if there were requests.", valueName: "seconds"))
  var statsInterval = 5.0

  @Option(help: ArgumentHelp("Key for the workers, in place of the client's.", valueName: "key"))
  var workerApiKey: String?

  @Option(help: "trace, debug, info, notice, warning, error or critical; PUT /log-level changes it.")
  var logLevel = Logger.Level.info

  @Option(help: ArgumentHelp("How long running requests may take to end on SIGTERM.", valueName: "seconds"))
  var grace = 8

  func validate() throws {
    try workers.validate(beside: discovery)
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535, not \(port).") }
    guard grace >= 0 else { throw ValidationError("--grace must not be negative.") }
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
    }
    guard try ![.sglang, .lmcacheDisagg].contains(handoff) || workers.both().isEmpty else {
      throw ValidationError(
        "--both-port cannot be under --handoff \(handoff.rawValue): its workers have one role each.")
    }
    try DeadlineOptions.check([("--stats-interval", statsInterval)])
    if workerApiKey.map(Self.isHeaderValue) == false {
      throw ValidationError("--worker-api-key must be printable ASCII without spaces.")
    }
  }

  func run() async throws {
    let level = AdjustableLogLevel(logLevel)
    let logger = level.logger(label: "xpyd.proxy")
    let proxy = try await Proxy.start(try configuration(), logger: logger, logLevel: level)
    for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
      logger.info("Stopping", metadata: ["signal": "\(signal)", "grace": "\(grace) s"])
      break
    }
    await proxy.shutdown(grace: .seconds(grace))
    logger.info("Stopped")
  }

  private func configuration() throws -> ProxyConfiguration {
    let prefillers = handoff == .none ? [] : try workers.prefillers(beside: discovery)
    let (decoders, both) = (try workers.decoders(beside: discovery), try workers.both())
    let isDNS = discovery.serviceDiscovery == .dns
    var configuration = ProxyConfiguration(prefillers: isDNS ? [] : prefillers, decoders: isDNS ? [] : decoders)
    configuration.host = host
    configuration.port = port
    configuration.both = isDNS ? [] : both
    configuration.discovery = try discovery.discovery(
      names: (prefillers + both).map { WorkerEndpoint(.prefill, $0) }
        + (decoders + both).map { WorkerEndpoint(.decode, $0) })
    configuration.handoff = handoff
    configuration.followsPrefill = earlyHandoff
    configuration.bootstrapPorts = try workers.bootstrapPorts(beside: discovery)
    routing.apply(to: &configuration)
    configuration.threads = threads
    configuration.deadlines = deadlines.values
    try lmcache.apply(to: &configuration, countsUp: workers.decodersCountUp())
    faults.apply(to: &configuration)
    configuration.statisticsInterval = .seconds(statsInterval)
    // Standard output is a file under `xpyd up`, which would keep the block in its buffer.
    configuration.statisticsSink = { block in
      print(block, terminator: "")
      fflush(nil)
    }
    edge.apply(to: &configuration)
    configuration.tracing = try tracing.settings(environment: ProcessInfo.processInfo.environment)
    admission.apply(to: &configuration)
    configuration.workerKey = workerApiKey
    configuration.version = Version.text
    return configuration
  }

  private static func isHeaderValue(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
}

extension HandoffKind: ExpressibleByArgument {}

/// The example's flags for where the workers are.
struct WorkerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Hosts of the prefillers.", valueName: "list")) var prefillerHost = "localhost"
  @Option(help: ArgumentHelp("Ports of the prefillers.", valueName: "list")) var prefillerPort = "8100"
  @Option(help: "Number of prefillers (default: 1; 0 if they are discovered and none is named).")
  var numPrefillers: Int?
  @Option(help: ArgumentHelp("Bootstrap ports of SGLang's prefillers: one, or one for each.", valueName: "list"))
  var bootstrapPort = "\(SGLangHandoff.defaultPort)"
  @Option(help: ArgumentHelp("Hosts of the decoders.", valueName: "list")) var decoderHost = "localhost"
  @Option(help: ArgumentHelp("Ports of the decoders.", valueName: "list")) var decoderPort = "8200"
  @Option(help: "Number of decoders (default: as for prefillers).") var numDecoders: Int?
  @Option(help: ArgumentHelp("Hosts of workers that do both.", valueName: "list")) var bothHost = "localhost"
  @Option(help: ArgumentHelp("Ports of workers that do both.", valueName: "list")) var bothPort: String?
  @Option(help: "Number of workers that do both (default: 1 if there is a port, else 0).") var numBoth: Int?

  func validate(beside discovery: DiscoveryOptions) throws {
    _ = try prefillers(beside: discovery)
    guard try !discovery.hasUsualWorkers || !(decoders(beside: discovery) + both()).isEmpty else {
      throw ValidationError("--num-decoders must be at least 1, or --both-port be given.")
    }
    _ = try bootstrapPorts(beside: discovery)
  }

  func bootstrapPorts(beside discovery: DiscoveryOptions) throws -> [Int] {
    let ports = try Self.numbers(bootstrapPort, "--bootstrap-port")
    let prefillers = try prefillers(beside: discovery).count
    guard ports.count == 1 || ports.count == prefillers else {
      throw ValidationError("--bootstrap-port: give one, or as many as there are prefillers (\(prefillers)).")
    }
    if let bad = ports.first(where: { !(1...65_535).contains($0) }) {
      throw ValidationError("--bootstrap-port must be from 1 to 65535, not \(bad).")
    }
    return ports
  }

  func prefillers(beside discovery: DiscoveryOptions) throws -> [WorkerAddress] {
    let isNamed = discovery.hasUsualWorkers || prefillerHost != "localhost" || prefillerPort != "8100"
    return try Self.pair(prefillerHost, prefillerPort, numPrefillers ?? (isNamed ? 1 : 0), "prefiller")
  }

  func decoders(beside discovery: DiscoveryOptions) throws -> [WorkerAddress] {
    let isNamed = discovery.hasUsualWorkers || decoderHost != "localhost" || decoderPort != "8200"
    return try Self.pair(decoderHost, decoderPort, numDecoders ?? (isNamed ? 1 : 0), "decoder")
  }

  /// Whether several decoders stand on one host, at ports one after the other.
  func decodersCountUp() -> Bool { numDecoders ?? 1 > 1 && !decoderHost.contains(",") && !decoderPort.contains(",") }

  func both() throws -> [WorkerAddress] {
    guard let bothPort else {
      guard numBoth ?? 0 == 0 else { throw ValidationError("--num-both is \(numBoth ?? 0): give --both-port, too.") }
      return []
    }
    return try Self.pair(bothHost, bothPort, numBoth ?? 1, "both")
  }

  private static func pair(_ hosts: String, _ ports: String, _ count: Int, _ role: String) throws -> [WorkerAddress] {
    let numbers = try numbers(ports, "--\(role)-port")
    do {
      return try WorkerAddress.pair(hosts: list(hosts), ports: numbers, count: count)
    } catch {
      let number = role == "both" ? "--num-both" : "--num-\(role)s"
      throw ValidationError("--\(role)-host, --\(role)-port, \(number): \(error)")
    }
  }

  private static func list(_ text: String) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
  }

  static func numbers(_ text: String, _ flag: String) throws -> [Int] {
    try list(text).map { text in
      guard let number = Int(text) else { throw ValidationError("\(flag): \(text) is not a number.") }
      return number
    }
  }
}

/// Which worker gets a request; docs/routing.md tells what to choose when.
struct RoutingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How the prefiller is picked.", valueName: "policy"))
  var prefillPolicy = PolicyKind.roundRobin
  @Option(help: ArgumentHelp("How the decoder is picked.", valueName: "policy"))
  var decodePolicy = PolicyKind.roundRobin
  @Option(
    help: ArgumentHelp(
      "A request with fewer tokens that its decoder has not seen skips the prefiller; auto learns the number.",
      valueName: "tokens|auto"))
  var disaggThreshold = DisaggregationThreshold.auto
  @Option(parsing: .upToNextOption, help: ArgumentHelp("Header fields that may name a session.", valueName: "name"))
  var sessionHeader = SessionKeys().headers
  @Option(parsing: .upToNextOption, help: ArgumentHelp("Body fields that may name a session.", valueName: "name"))
  var sessionField = SessionKeys().fields

  func apply(to configuration: inout ProxyConfiguration) {
    configuration.prefillPolicy = prefillPolicy
    configuration.decodePolicy = decodePolicy
    configuration.disaggregation = disaggThreshold
    configuration.sessionKeys.headers = sessionHeader
    configuration.sessionKeys.fields = sessionField
  }
}

extension PolicyKind: ExpressibleByArgument {
  public init?(argument: String) { self.init(named: argument) }
}

extension DisaggregationThreshold: ExpressibleByArgument {
  public init?(argument: String) {
    if argument == "auto" {
      self = .auto
    } else {
      guard let tokens = Int(argument), tokens >= 0 else { return nil }
      self = .tokens(tokens)
    }
  }

  public var defaultValueDescription: String {
    switch self {
    case .auto: "auto"
    case .tokens(let tokens): "\(tokens)"
    }
  }
}

struct DeadlineOptions: ParsableArguments {
  @Option(help: "To connect to a worker.") var connectTimeout = 2.0
  @Option(help: "For a prefill leg's whole answer.") var prefillTimeout = 120.0
  @Option(help: "For the first event of a streamed answer.") var firstTokenTimeout = 300.0
  @Option(help: "Between two parts of an answer.") var idleTimeout = 120.0
  @Option(help: "For a whole request with its retries.") var requestTimeout = 3600.0

  func validate() throws {
    try Self.check([
      ("--connect-timeout", connectTimeout), ("--prefill-timeout", prefillTimeout),
      ("--first-token-timeout", firstTokenTimeout), ("--idle-timeout", idleTimeout),
      ("--request-timeout", requestTimeout),
    ])
  }

  /// A day at most, so that no sum of times overflows.
  static func check(_ times: [(String, Double)]) throws {
    for (name, seconds) in times where !(seconds > 0 && seconds <= 86_400) {
      throw ValidationError("\(name) must be more than 0 and at most 86400 seconds, not \(seconds).")
    }
  }

  var values: ProxyDeadlines {
    var deadlines = ProxyDeadlines()
    deadlines.connect = .seconds(connectTimeout)
    deadlines.prefill = .seconds(prefillTimeout)
    deadlines.firstToken = .seconds(firstTokenTimeout)
    deadlines.idle = .seconds(idleTimeout)
    deadlines.request = .seconds(requestTimeout)
    return deadlines
  }
}
