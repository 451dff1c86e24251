import ServingAPI

/// The histograms of one worker's number, whoever has it: a metric's labels are never forgotten, so a worker that comes in
/// place of one that left goes on with them.
final class WorkerSeries: Sendable {
  let timeToFirstToken: Histogram
  let endToEnd: Histogram
  /// Prefill or decode legs that were answered.
  let leg: Histogram
  let ejections: Counter
  /// nil for a prefiller.
  let decoding: Decoding?

  struct Decoding: Sendable {
    let interTokenLatency: Histogram
    let transfer: Histogram
  }

  init(_ registry: PrometheusRegistry, role: WorkerRole, index: Int) {
    let labels = [("role", role.rawValue), ("worker", role.workerName(index))]
    func histogram(_ name: String, _ help: String, _ buckets: [Double]) -> Histogram {
      registry.histogram(name, help: help, buckets: buckets, labels: labels)
    }
    timeToFirstToken = histogram(
      "vllm:time_to_first_token_seconds",
      "From the client's request to the first token, by each worker that had a part.", MetricBuckets.timeToFirstToken)
    endToEnd = histogram(
      "vllm:e2e_request_latency_seconds", "Requests answered in whole, by each worker that had a part.",
      MetricBuckets.requestLatency)
    switch role {
    case .prefill:
      leg = histogram(
        "xpyd:proxy_prefill_leg_seconds", "Prefill legs that were answered.", MetricBuckets.timeToFirstToken)
      decoding = nil
    case .decode:
      leg = histogram("xpyd:proxy_decode_leg_seconds", "Decode legs that were answered.", MetricBuckets.requestLatency)
      decoding = Decoding(
        interTokenLatency: histogram(
          "vllm:inter_token_latency_seconds", "Between two parts of a streamed answer.",
          MetricBuckets.interTokenLatency),
        transfer: histogram(
          "xpyd:proxy_transfer_seconds", "From a decode leg's start to its first token.",
          MetricBuckets.timeToFirstToken))
    }
    ejections = registry.counter(
      "xpyd:proxy_ejections_total", help: "How often a worker that was up was left alone.", labels: labels)
  }
}
