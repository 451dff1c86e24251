import NIOCore
import ServingAPI

/// What the proxy's metrics take from requests' timelines, and what admission refused. Label values come from closed
/// sets; vLLM's names where they mean the same.
final class RequestMetrics: Sendable {
  /// By worker.
  private let timeToFirstToken: [WorkerRole: [Histogram]]
  private let interTokenLatency: [Histogram]
  private let endToEnd: [WorkerRole: [Histogram]]
  private let queueTime: Histogram
  private let prefillLeg: [Histogram]
  private let transfer: [Histogram]
  private let decodeLeg: [Histogram]
  private let retries: [WorkerRole: Counter]
  private let rejections: [Rejection: Counter]
  private let ejections: [WorkerRole: [Counter]]

  init(_ registry: PrometheusRegistry, prefillers: [Worker], decoders: [Worker]) {
    func histograms(_ name: String, _ help: String, _ buckets: [Double], _ workers: [Worker]) -> [Histogram] {
      workers.map {
        registry.histogram(
          name, help: help, buckets: buckets, labels: [("role", $0.role.rawValue), ("worker", $0.name)])
      }
    }
    func byRole(_ name: String, _ help: String, _ buckets: [Double]) -> [WorkerRole: [Histogram]] {
      [
        .prefill: histograms(name, help, buckets, prefillers), .decode: histograms(name, help, buckets, decoders),
      ]
    }
    timeToFirstToken = byRole(
      "vllm:time_to_first_token_seconds",
      "From the client's request to the first token, by each worker that had a part.",
      MetricBuckets.timeToFirstToken)
    interTokenLatency = histograms(
      "vllm:inter_token_latency_seconds", "Between two parts of a streamed answer.", MetricBuckets.interTokenLatency,
      decoders)
    endToEnd = byRole(
      "vllm:e2e_request_latency_seconds", "Requests answered in whole, by each worker that had a part.",
      MetricBuckets.requestLatency)
    queueTime = registry.histogram(
      "vllm:request_queue_time_seconds", help: "From the client's request to its turn.",
      buckets: MetricBuckets.requestLatency)
    prefillLeg = histograms(
      "xpyd:proxy_prefill_leg_seconds", "Prefill legs that were answered.", MetricBuckets.timeToFirstToken, prefillers)
    transfer = histograms(
      "xpyd:proxy_transfer_seconds", "From a decode leg's start to its first token.", MetricBuckets.timeToFirstToken,
      decoders)
    decodeLeg = histograms(
      "xpyd:proxy_decode_leg_seconds", "Decode legs that were answered.", MetricBuckets.requestLatency, decoders)
    retries = Self.table([WorkerRole.prefill, .decode]) {
      registry.counter(
        "xpyd:proxy_retries_total", help: "Legs that were run again on another worker before the first token.",
        labels: [("role", $0.rawValue)])
    }
    ejections = [WorkerRole.prefill: prefillers, .decode: decoders].mapValues { workers in
      workers.map {
        registry.counter(
          "xpyd:proxy_ejections_total", help: "How often a worker that was up was left alone.",
          labels: [("role", $0.role.rawValue), ("worker", $0.name)])
      }
    }
    rejections = Self.table(Rejection.allCases) {
      registry.counter(
        "xpyd:proxy_rejections_total", help: "Requests that were not taken on, by reason.",
        labels: [("reason", $0.rawValue)])
    }
  }

  func ejected(_ worker: Worker) { ejections[worker.role]?[worker.index].increment() }

  private static func table<Key: Hashable>(_ keys: [Key], _ make: (Key) -> Counter) -> [Key: Counter] {
    Dictionary(uniqueKeysWithValues: keys.map { ($0, make($0)) })
  }

  func rejected(_ reason: Rejection) { rejections[reason]?.increment() }

  var rejected: [(reason: Rejection, count: Int)] {
    Rejection.allCases.map { ($0, Int(rejections[$0]?.value ?? 0)) }
  }

  func partCame(after gap: TimeAmount, from decoder: Int) { interTokenLatency[decoder].observe(gap.seconds) }

  func sawFirstToken(_ timeline: RequestTimeline) {
    guard let time = timeline.timeToFirstToken?.seconds else { return }
    observe(timeToFirstToken, time, timeline)
  }

  /// - Parameter isWhole: Whether the client has its whole answer.
  func ended(_ timeline: RequestTimeline, isWhole: Bool) {
    if timeline.prefillRetries > 0 { retries[.prefill]?.increment(by: Double(timeline.prefillRetries)) }
    if timeline.decoderReplacements > 0 { retries[.decode]?.increment(by: Double(timeline.decoderReplacements)) }
    if let time = timeline.queueTime { queueTime.observe(time.seconds) }
    if let time = timeline.prefillTime, let index = timeline.prefiller { prefillLeg[index].observe(time.seconds) }
    guard isWhole else { return }
    if let time = timeline.total?.seconds { observe(endToEnd, time, timeline) }
    guard let decoder = timeline.decoder else { return }
    if let time = timeline.transferTime { transfer[decoder].observe(time.seconds) }
    if let time = timeline.decodeTime { decodeLeg[decoder].observe(time.seconds) }
  }

  private func observe(_ histograms: [WorkerRole: [Histogram]], _ value: Double, _ timeline: RequestTimeline) {
    if let index = timeline.prefiller { histograms[.prefill]?[index].observe(value) }
    if let index = timeline.decoder { histograms[.decode]?[index].observe(value) }
  }
}
