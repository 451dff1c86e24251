/// Command lines of the processes that are xpyd itself.
struct EmbeddedEngine: Sendable {
  let executable: String

  func command(for worker: Deployment.Worker, in deployment: Deployment) -> LaunchPlan.Command {
    let transfer = #"{"kv_connector":"NixlConnector","kv_role":"\#(worker.role.kvRole)"}"#
    return LaunchPlan.Command(
      executable: executable,
      arguments: [
        "serve", deployment.model, "--host", worker.host, "--port", "\(worker.port)",
        "--kv-transfer-config", transfer, "--grace", grace(deployment),
      ] + (worker.threads.map { ["--threads", "\($0)"] } ?? []) + ["--served-model-name"]
        + deployment.servedModelNames + worker.arguments,
      environment: worker.environment)
  }

  func proxyCommand(_ deployment: Deployment) -> LaunchPlan.Command {
    let proxy = deployment.proxy
    var arguments = ["proxy", "--host", proxy.host, "--port", "\(proxy.port)", "--grace", grace(deployment)]
    arguments += addresses("prefiller", deployment.workers(.prefiller))
    arguments += addresses("decoder", deployment.workers(.decoder))
    if !deployment.workers(.both).isEmpty { arguments += addresses("both", deployment.workers(.both)) }
    for (flag, value) in [
      ("--handoff", proxy.handoff), ("--prefill-policy", proxy.prefillPolicy), ("--decode-policy", proxy.decodePolicy),
    ] {
      if let value { arguments += [flag, value] }
    }
    return LaunchPlan.Command(executable: executable, arguments: arguments + proxy.arguments)
  }

  /// Running streams may use the grace period but for what is left to close the rest before force comes.
  private func grace(_ deployment: Deployment) -> String { "\(Int(max(0, deployment.supervision.grace - 2)))" }

  /// By the proxy's pairing rules: a host and a port for each worker; 0 workers are said by their number.
  private func addresses(_ role: String, _ workers: [Deployment.Worker]) -> [String] {
    let number = role == "both" ? "--num-both" : "--num-\(role)s"
    guard !workers.isEmpty else { return [number, "0"] }
    return [
      "--\(role)-host", workers.map(\.host).joined(separator: ","),
      "--\(role)-port", workers.map { "\($0.port)" }.joined(separator: ","),
      number, "\(workers.count)",
    ]
  }
}
