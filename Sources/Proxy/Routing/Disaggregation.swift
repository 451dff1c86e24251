import ServingAPI
import Synchronization

/// The proxy's one `DisaggregationModel`, behind a `Mutex`, and the count of its decisions.
final class Disaggregation: Sendable {
  private let model: Mutex<DisaggregationModel>
  private let decisions: [DisaggregationDecision: Counter]

  init(_ threshold: DisaggregationThreshold, registry: PrometheusRegistry) {
    model = Mutex(DisaggregationModel(threshold))
    let counters = DisaggregationDecision.allCases.map { decision in
      let counter = registry.counter(
        "xpyd:disagg_decisions_total", help: "Requests that could take both legs, by whether they did, or why not.",
        labels: [("decision", decision.rawValue)])
      return (decision, counter)
    }
    decisions = Dictionary(uniqueKeysWithValues: counters)
  }

  func decide(_ size: PromptSize, running: Int, isStreamed: Bool) -> DisaggregationDecision {
    model.withLock { $0.decide(size, running: running, isStreamed: isStreamed) }
  }

  func count(_ decision: DisaggregationDecision) { decisions[decision]?.increment() }

  func prefillLegTook(_ seconds: Double, _ size: PromptSize) {
    model.withLock { $0.prefillLegTook(seconds, size) }
  }

  func decodeLegTook(_ seconds: Double, _ size: PromptSize, withHandoff: Bool) {
    model.withLock { $0.decodeLegTook(seconds, size, withHandoff: withHandoff) }
  }

  /// For `/stats`: what is decided, and from which times.
  var page: BodyValue {
    let model = self.model.withLock { $0 }
    var decided = BodyValue.Fields()
    for decision in DisaggregationDecision.allCases {
      decided[decision.rawValue] = .integer(Int64(decisions[decision]?.value ?? 0))
    }
    return [
      "threshold": .string(model.threshold == .auto ? "auto" : "fixed"),
      "threshold_tokens": .integer(Int64(model.tokens)),
      "decisions": .object(decided),
      "prefill_leg": Self.describe(model.prefillLeg),
      "decode_leg_to_first_token": Self.describe(model.decodeLeg),
      "decoder_alone_to_first_token": Self.describe(model.decoderAlone),
    ]
  }

  private static func describe(_ fit: LinearFit) -> BodyValue {
    [
      "samples": .integer(Int64(fit.count)), "base_ms": .number(fit.line.base * 1e3),
      "ms_per_1000_tokens": .number(fit.line.slope * 1e6), "longest_tokens": .integer(Int64(fit.reach)),
    ]
  }
}
