import Foundation
import ServingAPI

/// The JSON that `vllm bench serve --save-result` writes, key by key.
package struct ResultJSON {
  private let summary: RunSummary
  private let header: RunHeader

  package init(_ summary: RunSummary, header: RunHeader) {
    self.summary = summary
    self.header = header
  }

  /// - Parameter records: For `--save-detailed`: adds what it knows of each request, in the workload's order.
  package func value(detailed records: [RequestRecord]? = nil) -> BodyValue {
    var fields = BodyValue.Fields()
    addSetup(&fields)
    addThroughput(&fields)
    if let records { addDetails(records.sorted { $0.index < $1.index }, &fields) }
    fields["latencies"] = .numbers(summary.latencyOfEachRequest)
    fields["queue_times"] = .numbers(summary.queueTimeOfEachRequest)
    fields["max_output_tokens_per_s"] = .number(summary.peakOutputTokensPerSecond)
    fields["max_concurrent_requests"] = BodyValue(summary.peakConcurrentRequests)
    // Of speech recognition only; readers of vLLM's files expect the key.
    fields["rtfx"] = .number(0)
    for metric in LatencyMetric.allCases where header.reported.metrics.contains(metric) {
      if let latency = summary.latencies[metric] { add(metric, latency, &fields) }
    }
    return .object(fields)
  }

  private func addSetup(_ fields: inout BodyValue.Fields) {
    fields["date"] = .string(Self.date(header.startedAt))
    fields["endpoint_type"] = .string(header.backend)
    fields["backend"] = .string(header.backend)
    fields["label"] = BodyValue(header.label)
    fields["model_id"] = .string(header.model)
    fields["tokenizer_id"] = BodyValue(header.tokenizer)
    fields["num_prompts"] = BodyValue(header.requests)
    for metadata in header.metadata { fields[metadata.key] = .string(metadata.value) }
    fields["request_rate"] = header.traffic.requestRate.map { .number($0) } ?? "inf"
    fields["burstiness"] = .number(header.traffic.burstiness)
    fields["max_concurrency"] = header.traffic.maxConcurrency.map { BodyValue($0) } ?? .null
    if let ramp = header.traffic.rampUp {
      fields["ramp_up_strategy"] = .string(ramp.strategy.rawValue)
      fields["ramp_up_start_rps"] = BodyValue(ramp.start)
      fields["ramp_up_end_rps"] = BodyValue(ramp.end)
    }
  }

  private func addThroughput(_ fields: inout BodyValue.Fields) {
    fields["duration"] = .number(summary.duration)
    fields["completed"] = BodyValue(summary.completed)
    fields["failed"] = BodyValue(summary.failed)
    fields["total_input_tokens"] = BodyValue(summary.inputTokens)
    fields["total_output_tokens"] = BodyValue(summary.outputTokens)
    fields["request_throughput"] = .number(summary.requestThroughput)
    fields["request_goodput"] = summary.requestGoodput.map { .number($0) } ?? .null
    fields["output_throughput"] = .number(summary.outputThroughput)
    fields["total_token_throughput"] = .number(summary.totalTokenThroughput)
  }

  private func addDetails(_ records: [RequestRecord], _ fields: inout BodyValue.Fields) {
    fields["input_lens"] = .array(records.map { BodyValue($0.promptTokens ?? 0) })
    fields["output_lens"] = .array(records.map { BodyValue($0.outcome == .ok ? $0.outputTokens ?? 0 : 0) })
    fields["ttfts"] = .numbers(records.map { $0.timeToFirstToken ?? 0 })
    fields["itls"] = .array(
      records.map { record in
        .numbers(zip(record.chunkTimes, record.chunkTimes.dropFirst()).map { $1 - $0 })
      })
    fields["start_times"] = .numbers(records.map { $0.started ?? $0.scheduled })
    fields["generated_texts"] = .array(records.map { .string($0.text ?? "") })
    fields["errors"] = .array(records.map { .string($0.error ?? "") })
  }

  private func add(_ metric: LatencyMetric, _ latency: LatencySummary, _ fields: inout BodyValue.Fields) {
    let key = metric.rawValue
    fields["mean_\(key)_ms"] = .number(latency.mean)
    fields["median_\(key)_ms"] = .number(latency.median)
    fields["std_\(key)_ms"] = .number(latency.standardDeviation)
    for percentile in latency.percentiles {
      fields["p\(rankWord(percentile.rank))_\(key)_ms"] = .number(percentile.milliseconds)
    }
  }

  /// `20261122-230205`, from ISO 8601.
  static func date(_ iso: String) -> String {
    let digits = iso.filter { $0.isNumber || $0 == "T" }
    return String(digits.prefix(15)).replacingOccurrences(of: "T", with: "-")
  }

  /// vLLM's name for the file, where the user gave none.
  package var fileName: String {
    let traffic = header.traffic
    let label = header.label ?? header.backend
    let load =
      traffic.rampUp.map { "ramp-up-\($0.strategy.rawValue)-\($0.start)qps-\($0.end)qps" }
      ?? "\(traffic.requestRate.map { "\($0)" } ?? "inf")qps"
    let limit = traffic.maxConcurrency.map { "-concurrency\($0)" } ?? ""
    let model = header.model.split(separator: "/").last.map(String.init) ?? ""
    return "\(label)-\(load)\(limit)-\(model)-\(Self.date(header.startedAt)).json"
  }
}

extension BodyValue {
  fileprivate static func numbers(_ values: [Double]) -> BodyValue { .array(values.map { .number($0) }) }
}
