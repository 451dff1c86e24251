/// Why a benchmark cannot be run as it was asked for.
package enum BenchError: Error, Equatable, Sendable, CustomStringConvertible {
  case unknownHost(String, reason: String)
  case emptyWorkload(String)
  case notReady(url: String, seconds: Double, lastError: String)
  case noModels(String, reason: String)
  case badWorkload(String)

  package var description: String {
    switch self {
    case .unknownHost(let host, let reason):
      "The host \(host) cannot be looked up: \(reason). Check --host or --base-url."
    case .emptyWorkload(let name): "The workload has no request: \(name)."
    case .notReady(let url, let seconds, let lastError):
      "\(url) gave no good answer in \(seconds) s; the last error: \(lastError) Is the server up, and are model and "
        + "endpoint right? --ready-check-timeout-sec waits longer."
    case .noModels(let url, let reason):
      "\(url)/v1/models names no model (\(reason)): give one with --model."
    case .badWorkload(let reason): reason
    }
  }
}
