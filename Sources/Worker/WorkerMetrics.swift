import Engine
import KVTransfer
import ServingAPI

/// The worker's metrics under vLLM's names, so that its dashboards fit; what vLLM lacks has the prefix `xpyd:`.
///
/// The engine's and the transport's own figures are read at each scrape; what only the worker sees is counted here.
struct WorkerMetrics: Sendable {
  let registry: PrometheusRegistry
  let interTokenLatency: Histogram
  private let timeToFirstToken: Histogram
  private let endToEnd: Histogram
  private let queueTime: Histogram
  private let prefillTime: Histogram
  private let decodeTime: Histogram
  private let inferenceTime: Histogram
  private let timePerOutputToken: Histogram
  private let promptLength: Histogram
  private let outputLength: Histogram
  private let askedLength: Histogram
  private let askedChoices: Histogram
  private let computedLength: Histogram
  private let finished: [ChoiceEnd.Reason: Counter]
  private let transferTime: Histogram
  private let transferBytes: Histogram
  private let transferDescriptors: Histogram

  init(modelName: String) {
    let registry = PrometheusRegistry(constantLabels: [("engine", "0"), ("model_name", modelName)])
    self.registry = registry
    func latency(_ name: String, _ help: String, _ buckets: [Double] = MetricBuckets.requestLatency) -> Histogram {
      registry.histogram("vllm:\(name)_seconds", help: help, buckets: buckets)
    }
    func sizes(_ name: String, _ help: String, _ buckets: [Double] = MetricBuckets.tokens) -> Histogram {
      registry.histogram("vllm:\(name)", help: help, buckets: buckets)
    }
    timeToFirstToken = latency(
      "time_to_first_token", "Histogram of time to first token in seconds.", MetricBuckets.timeToFirstToken)
    interTokenLatency = latency(
      "inter_token_latency", "Histogram of inter-token latency in seconds.", MetricBuckets.interTokenLatency)
    timePerOutputToken = latency(
      "request_time_per_output_token", "Histogram of time_per_output_token_seconds per request.",
      MetricBuckets.interTokenLatency)
    endToEnd = latency("e2e_request_latency", "Histogram of e2e request latency in seconds.")
    queueTime = latency("request_queue_time", "Histogram of time spent in WAITING phase for request.")
    inferenceTime = latency("request_inference_time", "Histogram of time spent in RUNNING phase for request.")
    prefillTime = latency("request_prefill_time", "Histogram of time spent in PREFILL phase for request.")
    decodeTime = latency("request_decode_time", "Histogram of time spent in DECODE phase for request.")
    promptLength = sizes("request_prompt_tokens", "Number of prefill tokens processed.")
    outputLength = sizes("request_generation_tokens", "Number of generation tokens processed.")
    askedLength = sizes("request_params_max_tokens", "Histogram of the max_tokens request parameter.")
    askedChoices = sizes("request_params_n", "Histogram of the n request parameter.", MetricBuckets.choices)
    computedLength = sizes(
      "request_prefill_kv_computed_tokens",
      "Histogram of new KV tokens computed during prefill (excluding cached tokens).")
    transferTime = latency(
      "nixl_xfer_time", "Histogram of transfer duration for NIXL KV Cache transfers.", MetricBuckets.transferTime)
    transferBytes = sizes(
      "nixl_bytes_transferred", "Histogram of bytes transferred per NIXL KV Cache transfers.",
      MetricBuckets.transferBytes)
    transferDescriptors = sizes(
      "nixl_num_descriptors", "Histogram of number of descriptors per NIXL  KV Cache transfers.",
      MetricBuckets.transferDescriptors)
    var finished: [ChoiceEnd.Reason: Counter] = [:]
    for reason in [ChoiceEnd.Reason.stop, .length, .abort, .error] {
      finished[reason] = registry.counter(
        "vllm:request_success_total", help: "Count of successfully processed requests.",
        labels: [("finished_reason", reason.rawValue)])
    }
    self.finished = finished
  }

  /// One choice that was served to its end.
  func observe(_ outcome: ChoiceRun.Outcome, of choice: ChoicePlan, choices: Int) {
    let (result, timings) = (outcome.result, outcome.result.timings)
    finished[outcome.reason]?.increment()
    if let value = timings.timeToFirstToken { timeToFirstToken.observe(value) }
    if let value = timings.prefillTime { prefillTime.observe(value) }
    if let value = timings.inferenceTime { inferenceTime.observe(value) }
    if let value = timings.decodeTime {
      decodeTime.observe(value)
      if result.outputTokens > 1 { timePerOutputToken.observe(value / Double(result.outputTokens - 1)) }
    }
    queueTime.observe(timings.queueTime)
    endToEnd.observe(timings.queued.duration(to: timings.finished))
    promptLength.observe(Double(choice.request.promptTokens.count))
    outputLength.observe(Double(outcome.outputTokens))
    askedLength.observe(Double(choice.decoding.maxTokens))
    computedLength.observe(Double(result.promptTokens.computed))
    if choice.index == 0 { askedChoices.observe(Double(choices)) }
    if case .succeeded(let report)? = result.pull {
      transferTime.observe(report.duration)
      transferBytes.observe(Double(report.bytes))
      transferDescriptors.observe(Double(report.blocks))
    }
  }

  /// One input whose embedding was made.
  func observe(embeddingOf result: GenerationResult, promptTokens: Int) {
    let timings = result.timings
    finished[.stop]?.increment()
    if let value = timings.prefillTime { prefillTime.observe(value) }
    if let value = timings.inferenceTime { inferenceTime.observe(value) }
    queueTime.observe(timings.queueTime)
    endToEnd.observe(timings.queued.duration(to: timings.finished))
    promptLength.observe(Double(promptTokens))
    computedLength.observe(Double(result.promptTokens.computed))
  }

  /// One request whose client left, or that failed after it was accepted.
  func observeFailure(_ reason: ChoiceEnd.Reason) { finished[reason]?.increment() }
}
