import ArgumentParser
import Foundation
import Launcher
import Proxy

/// Where workers that come and go are looked up; names are sglang-router's where it has them.
struct DiscoveryOptions: ParsableArguments {
  enum Kind: String, CaseIterable, ExpressibleByArgument {
    /// The command line names them.
    case `static`
    case file
    case dns
    case k8s
  }

  @Option(
    help: """
      static: the flags name the workers; file: a topology file, watched; dns: every address of the hosts that the flags \
      name; k8s: ready endpoints of services.
      """)
  var serviceDiscovery = Kind.static

  @Option(help: ArgumentHelp("For file: the topology file, whose workers count.", valueName: "path"))
  var serviceDiscoveryFile: String?

  @Option(help: ArgumentHelp("For file and dns: how often it is looked at.", valueName: "seconds"))
  var serviceDiscoveryInterval = 5.0

  @Option(help: ArgumentHelp("For k8s: the services' namespace (default: the pod's own).", valueName: "name"))
  var serviceDiscoveryNamespace: String?

  @Option(
    help: ArgumentHelp(
      "For k8s: its API, such as kubectl proxy's http://localhost:8001 (default: as pods find it).", valueName: "url"))
  var serviceDiscoveryApi: String?

  @Option(parsing: .upToNextOption, help: ArgumentHelp("For k8s: labels of the prefillers' service.", valueName: "k=v"))
  var prefillSelector: [String] = []

  @Option(parsing: .upToNextOption, help: ArgumentHelp("For k8s: labels of the decoders' service.", valueName: "k=v"))
  var decodeSelector: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("For k8s: labels of the service of workers that do both.", valueName: "k=v"))
  var bothSelector: [String] = []

  func validate() throws {
    try DeadlineOptions.check([("--service-discovery-interval", serviceDiscoveryInterval)])
    guard (serviceDiscovery == .file) == (serviceDiscoveryFile != nil) else {
      throw ValidationError(
        "--service-discovery file and --service-discovery-file belong together: give both, or neither.")
    }
    let selectors = prefillSelector + decodeSelector + bothSelector
    guard serviceDiscovery == .k8s else {
      let flags = [
        ("--service-discovery-namespace", serviceDiscoveryNamespace != nil),
        ("--service-discovery-api", serviceDiscoveryApi != nil), ("a selector", !selectors.isEmpty),
      ]
      if let flag = flags.first(where: \.1)?.0 { throw ValidationError("\(flag) needs --service-discovery k8s.") }
      return
    }
    guard !(decodeSelector + bothSelector).isEmpty else {
      throw ValidationError("--service-discovery k8s needs --decode-selector or --both-selector, such as app=decoder.")
    }
    if let bad = selectors.first(where: { !$0.contains("=") || $0.contains(",") }) {
      throw ValidationError("\(bad) is no label: give KEY=VALUE, several with spaces between.")
    }
  }

  /// Whether flags that were not given name a worker all the same.
  var hasUsualWorkers: Bool { serviceDiscovery == .static || serviceDiscovery == .dns }

  /// - Parameter names: What the flags name, for dns.
  func discovery(names: [WorkerEndpoint]) throws -> (any WorkerDiscovery)? {
    switch serviceDiscovery {
    case .static: nil
    case .file:
      FileDiscovery(path: serviceDiscoveryFile ?? "", interval: .seconds(serviceDiscoveryInterval)) {
        try DeploymentFile.read($0, vocabulary: .ofTheProxy).workers.flatMap(\.endpoints)
      }
    case .dns: DNSDiscovery(names: names, interval: .seconds(serviceDiscoveryInterval))
    case .k8s: KubernetesDiscovery(try api(), selectors: selectors)
    }
  }

  private var selectors: [KubernetesDiscovery.Selector] {
    let all: [([WorkerRole], [String])] = [
      ([.prefill], prefillSelector), ([.decode], decodeSelector), ([.prefill, .decode], bothSelector),
    ]
    return all.filter { !$0.1.isEmpty }.map { .init($0.0, $0.1.joined(separator: ",")) }
  }

  private func api() throws -> KubernetesAPI {
    guard let serviceDiscoveryApi else {
      return try KubernetesAPI.ofPod(
        environment: ProcessInfo.processInfo.environment, namespace: serviceDiscoveryNamespace)
    }
    guard let url = OutboundURL(serviceDiscoveryApi) else {
      throw ValidationError(
        "--service-discovery-api \(serviceDiscoveryApi): give http://HOST:PORT or https://HOST:PORT.")
    }
    return KubernetesAPI(url: url, namespace: serviceDiscoveryNamespace ?? "default")
  }
}

extension Deployment.Worker {
  fileprivate var endpoints: [WorkerEndpoint] {
    let address = WorkerAddress(host: host, port: port)
    return switch role {
    case .prefiller: [WorkerEndpoint(.prefill, address)]
    case .decoder: [WorkerEndpoint(.decode, address)]
    case .both: [WorkerEndpoint(.prefill, address), WorkerEndpoint(.decode, address)]
    }
  }
}
