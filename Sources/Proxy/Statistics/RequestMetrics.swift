import NIOCore
import ServingAPI
import Synchronization

/// What the proxy's metrics take from requests' timelines, and what admission refused. Label values come from closed
/// sets; vLLM's names where they mean the same. A `Mutex` guards the list of the workers' series.
final class RequestMetrics: Sendable {
  private let registry: PrometheusRegistry
  /// By a worker's number.
  private let workers = Mutex<[WorkerRole: [WorkerSeries]]>([:])
  private let queueTime: Histogram
  private let retries: [WorkerRole: Counter]
  private let rejections: [Rejection: Counter]

  init(_ registry: PrometheusRegistry) {
    self.registry = registry
    queueTime = registry.histogram(
      "vllm:request_queue_time_seconds", help: "From the client's request to its turn.",
      buckets: MetricBuckets.requestLatency)
    retries = Self.table([WorkerRole.prefill, .decode]) {
      registry.counter(
        "xpyd:proxy_retries_total", help: "Legs that were run again on another worker before the first token.",
        labels: [("role", $0.rawValue)])
    }
    rejections = Self.table(Rejection.allCases) {
      registry.counter(
        "xpyd:proxy_rejections_total", help: "Requests that were not taken on, by reason.",
        labels: [("reason", $0.rawValue)])
    }
  }

  /// Of a worker's number; made when a worker first has it, with those of the smaller numbers.
  func series(of role: WorkerRole, _ index: Int) -> WorkerSeries {
    workers.withLock { workers in
      var series = workers[role] ?? []
      while series.count <= index { series.append(WorkerSeries(registry, role: role, index: series.count)) }
      workers[role] = series
      return series[index]
    }
  }

  func rejected(_ reason: Rejection) { rejections[reason]?.increment() }

  var rejected: [(reason: Rejection, count: Int)] {
    Rejection.allCases.map { ($0, Int(rejections[$0]?.value ?? 0)) }
  }

  func sawFirstToken(_ timeline: RequestTimeline, prefiller: Worker?, decoder: Worker?) {
    guard let time = timeline.timeToFirstToken?.seconds else { return }
    prefiller?.series.timeToFirstToken.observe(time)
    decoder?.series.timeToFirstToken.observe(time)
  }

  /// - Parameter isWhole: Whether the client has its whole answer.
  func ended(_ timeline: RequestTimeline, prefiller: Worker?, decoder: Worker?, isWhole: Bool) {
    if timeline.prefillRetries > 0 { retries[.prefill]?.increment(by: Double(timeline.prefillRetries)) }
    if timeline.decoderReplacements > 0 { retries[.decode]?.increment(by: Double(timeline.decoderReplacements)) }
    if let time = timeline.queueTime { queueTime.observe(time.seconds) }
    if let time = timeline.prefillTime { prefiller?.series.leg.observe(time.seconds) }
    guard isWhole else { return }
    if let time = timeline.total?.seconds {
      prefiller?.series.endToEnd.observe(time)
      decoder?.series.endToEnd.observe(time)
    }
    guard let decoder else { return }
    if let time = timeline.transferTime { decoder.series.decoding?.transfer.observe(time.seconds) }
    if let time = timeline.decodeTime { decoder.series.leg.observe(time.seconds) }
  }

  private static func table<Key: Hashable>(_ keys: [Key], _ make: (Key) -> Counter) -> [Key: Counter] {
    Dictionary(uniqueKeysWithValues: keys.map { ($0, make($0)) })
  }
}
