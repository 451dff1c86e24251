import NIOCore
import ServingAPI

/// What a worker says of the handoff that it speaks.
package enum HandoffFinding: Sendable, Equatable {
  /// - Parameter evidence: For the log: where it is said.
  case speaks(HandoffKind, evidence: String)
  /// It answers, and none of its pages says anything.
  case silent
}

/// The pages on which an engine gives itself away, in the order in which they are asked for.
package enum HandoffEvidence: String, Sendable, CaseIterable {
  case serverInfo = "/server_info"
  /// The same of older versions of SGLang.
  case getServerInfo = "/get_server_info"
  case metrics = "/metrics"

  package var path: String { rawValue }

  /// - Returns: nil if the page does not tell.
  package func judge(_ page: ByteBuffer) -> HandoffFinding? {
    switch self {
    case .serverInfo, .getServerInfo:
      guard let mode = Self.disaggregationMode(page) else { return nil }
      return .speaks(mode == "null" ? .none : .sglang, evidence: "\(path) has disaggregation_mode \(mode)")
    case .metrics:
      let text = String(buffer: page)
      for family in ["xpyd:kv_pushes_total", "xpyd:kv_received_total"] where text.contains("\n# TYPE \(family) ") {
        return .speaks(.lmcache, evidence: "\(path) has \(family)")
      }
      if text.contains("\nxpyd:") { return .speaks(.nixl, evidence: "\(path) has xpyd's metrics") }
      if text.contains("\nvllm:nixl_") {
        return .speaks(.nixl, evidence: "\(path) has vLLM's metrics of its NixlConnector")
      }
      return nil
    }
  }

  /// Of SGLang's server arguments: `prefill`, `decode` or `null`.
  private static func disaggregationMode(_ page: ByteBuffer) -> String? {
    page.withUnsafeReadableBytes { bytes in
      guard let range = try? JSONObject(scanning: bytes).value(of: "disaggregation_mode") else { return nil }
      let text = decodeJSONString(UnsafeRawBufferPointer(rebasing: bytes[range]))
      return ["prefill", "decode", "null"].first { $0 == text }
    }
  }
}

/// Puts together what the workers say: both roles must have been heard, and must not contradict each other.
package struct HandoffDetection: Sendable {
  package enum Verdict: Sendable, Equatable {
    case found(HandoffKind, evidence: String)
    /// Nobody said anything.
    case unknown
    case contradiction(prefiller: HandoffKind, decoder: HandoffKind)
  }

  private var findings: [WorkerRole: HandoffFinding] = [:]

  package init() {}

  /// - Returns: nil as long as one of the roles was not heard. A worker that is silent does not outweigh one that speaks.
  package mutating func heard(_ finding: HandoffFinding, from role: WorkerRole) -> Verdict? {
    if findings[role] == nil || findings[role] == .silent { findings[role] = finding }
    guard let prefiller = findings[.prefill], let decoder = findings[.decode] else { return nil }
    switch (prefiller, decoder) {
    case (.speaks(let first, _), .speaks(let second, _)) where first != second:
      return .contradiction(prefiller: first, decoder: second)
    case (.speaks(let kind, let evidence), _), (.silent, .speaks(let kind, let evidence)):
      return .found(kind, evidence: evidence)
    case (.silent, .silent): return .unknown
    }
  }
}
