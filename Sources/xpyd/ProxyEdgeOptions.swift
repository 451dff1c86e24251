import ArgumentParser
import Foundation
import Proxy

/// Who may talk to the proxy, and how. Names are vLLM's where vLLM has them.
struct EdgeOptions: ParsableArguments {
  @Option(
    name: [.customLong("ssl-certfile"), .customLong("tls-cert")],
    help: ArgumentHelp("Certificate chain for HTTPS; read again when it changes.", valueName: "pem"))
  var certificate: String?

  @Option(
    name: [.customLong("ssl-keyfile"), .customLong("tls-key")],
    help: ArgumentHelp("The certificate's key.", valueName: "pem"))
  var key: String?

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Key that clients must send.", valueName: "key"))
  var apiKey: [String] = []

  @Option(
    help: ArgumentHelp("File with such keys, one a line; read again when it changes.", valueName: "path"))
  var apiKeyFile: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Key for /admin/workers, which is off without one; or XPYD_ADMIN_KEY in the environment.", valueName: "key"))
  var adminKey: [String] = []

  @Option(
    help: ArgumentHelp("File with such keys, one a line; read again when it changes.", valueName: "path"))
  var adminKeyFile: String?

  @Option(help: ArgumentHelp("Origins whose pages may call.", valueName: "json")) var allowedOrigins = JSONList.any
  @Option(help: ArgumentHelp("Methods that they may use.", valueName: "json")) var allowedMethods = JSONList.any
  @Option(help: ArgumentHelp("Header fields that they may send.", valueName: "json")) var allowedHeaders = JSONList.any
  @Flag(help: "They may send cookies.") var allowCredentials = false

  @Option(help: ArgumentHelp("File for a line of each request; -: standard error.", valueName: "path"))
  var accessLog = "-"

  @Option(help: "text, as uvicorn's, or json: one object a line.")
  var accessLogFormat = AccessLogSettings.Format.text

  @Flag(help: "No line for each request.")
  var disableAccessLog = false

  func validate() throws {
    guard (certificate == nil) == (key == nil) else {
      throw ValidationError("--ssl-certfile and --ssl-keyfile belong together: give both, or neither.")
    }
  }

  func apply(to configuration: inout ProxyConfiguration) {
    if let certificate, let key { configuration.tls = (certificate, key) }
    configuration.clientKeys = apiKey
    configuration.clientKeyFile = apiKeyFile
    let adminKeyOfEnvironment = ProcessInfo.processInfo.environment["XPYD_ADMIN_KEY"].map { [$0] } ?? []
    configuration.adminKeys = adminKey.isEmpty ? adminKeyOfEnvironment : adminKey
    configuration.adminKeyFile = adminKeyFile
    configuration.cors.origins = allowedOrigins.elements
    configuration.cors.methods = allowedMethods.elements
    configuration.cors.headers = allowedHeaders.elements
    configuration.cors.allowsCredentials = allowCredentials
    guard !disableAccessLog else { return }
    var settings = AccessLogSettings()
    settings.format = accessLogFormat
    settings.path = accessLog == "-" ? nil : accessLog
    configuration.accessLog = settings
  }
}

extension AccessLogSettings.Format: ExpressibleByArgument {}

/// `["a","b"]`, as vLLM takes lists.
struct JSONList: ExpressibleByArgument, CustomStringConvertible {
  static let any = JSONList(elements: ["*"])
  var elements: [String]

  init(elements: [String]) { self.elements = elements }

  init?(argument: String) {
    guard let elements = try? JSONDecoder().decode([String].self, from: Data(argument.utf8)) else { return nil }
    self.elements = elements
  }

  var description: String { "[\(elements.map { "\"\($0)\"" }.joined(separator: ","))]" }
}

/// How much the proxy takes on.
struct AdmissionOptions: ParsableArguments {
  private static let standard = AdmissionLimits()

  @Option(help: "Requests that the workers have at once; one more waits.")
  var maxConcurrentRequests = standard.concurrent

  @Option(help: "Of these, the ones whose prefill has not ended; one more waits (default: no limit of its own).")
  var maxConcurrentPrefills: Int?

  @Option(help: "Requests that may wait; one more is refused with 503.")
  var maxQueuedRequests = standard.queued

  @Option(help: ArgumentHelp("Their bodies together.", valueName: "bytes"))
  var maxQueuedBytes = standard.queuedBytes

  @Option(help: "Requests of one client, running and waiting; one more is refused with 429 (default: no limit).")
  var maxRequestsPerClient: Int?

  @Option(help: ArgumentHelp("How long a request may wait for its turn.", valueName: "seconds"))
  var queueTimeout = 60.0

  @Option(
    help: ArgumentHelp(
      "Refuse a request whose first token would come later than this; its header X-Request-TTFT-SLO-Ms goes first.",
      valueName: "ms"))
  var ttftSlo: Int?

  @Option(help: ArgumentHelp("Largest request body.", valueName: "bytes"))
  var maxBodySize = 32 * 1024 * 1024

  func validate() throws {
    let counts: [(String, Int, ClosedRange<Int>)] = [
      ("--max-concurrent-requests", maxConcurrentRequests, 1...1_000_000),
      ("--max-concurrent-prefills", maxConcurrentPrefills ?? 1, 1...1_000_000),
      ("--max-queued-requests", maxQueuedRequests, 0...1_000_000),
      ("--max-queued-bytes", maxQueuedBytes, 0...(1 << 40)), ("--max-body-size", maxBodySize, 1...(1 << 40)),
      ("--max-requests-per-client", maxRequestsPerClient ?? 1, 1...1_000_000),
      ("--ttft-slo", ttftSlo ?? 1, 1...86_400_000),
    ]
    for (name, value, range) in counts where !range.contains(value) {
      throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
    }
    try DeadlineOptions.check([("--queue-timeout", queueTimeout)])
  }

  func apply(to configuration: inout ProxyConfiguration) {
    configuration.admission.concurrent = maxConcurrentRequests
    configuration.admission.prefilling = maxConcurrentPrefills
    configuration.admission.queued = maxQueuedRequests
    configuration.admission.queuedBytes = maxQueuedBytes
    configuration.admission.perClient = maxRequestsPerClient
    configuration.admission.queueTime = .seconds(queueTimeout)
    configuration.admission.timeToFirstToken = ttftSlo.map { .milliseconds($0) }
    configuration.maxBodyBytes = maxBodySize
  }
}
