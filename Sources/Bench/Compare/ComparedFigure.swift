/// What two endpoints are compared in.
package enum ComparedFigure: String, CaseIterable, Sendable {
  case meanTTFT = "mean_ttft_ms"
  case p99TTFT = "p99_ttft_ms"
  case meanTPOT = "mean_tpot_ms"
  case meanE2EL = "mean_e2el_ms"
  case outputThroughput = "output_throughput"
  case goodput = "request_goodput"

  /// The name in texts.
  package var name: String {
    switch self {
    case .meanTTFT: "mean TTFT"
    case .p99TTFT: "P99 TTFT"
    case .meanTPOT: "mean TPOT"
    case .meanE2EL: "mean E2E latency"
    case .outputThroughput: "output throughput"
    case .goodput: "goodput"
    }
  }

  package var unit: String {
    switch self {
    case .meanTTFT, .p99TTFT, .meanTPOT, .meanE2EL: "ms"
    case .outputThroughput: "tok/s"
    case .goodput: "req/s"
    }
  }

  package var isBetterWhenLarger: Bool {
    switch self {
    case .meanTTFT, .p99TTFT, .meanTPOT, .meanE2EL: false
    case .outputThroughput, .goodput: true
    }
  }

  /// The five that the verdict speaks of: with 99 % confidence each, it is wrong about any of them in one comparison of
  /// twenty at most.
  package var isInVerdict: Bool { self != .goodput }
}
