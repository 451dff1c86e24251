import ServingAPI

extension Sweep {
  package static let columns = [
    "req/s asked", "requests", "met SLO", "failed", "req/s served", "TTFT median", "TTFT P99", "TPOT median",
    "TPOT P99", "output tok/s", "client lag P99",
  ]

  /// One point as a row of `columns`.
  package static func cells(_ point: Point) -> [String] {
    let summary = point.run.summary
    return [
      Quantity.digits(point.rate), Quantity.count(summary.requests), Quantity.share(point.attainment),
      Quantity.count(summary.failed), Quantity.digits(summary.requestThroughput),
    ] + summary.times(.ttft) + summary.times(.tpot) + [
      Quantity.digits(summary.outputThroughput), Quantity.time(point.clientLag),
    ]
  }

  /// A Markdown table by rate, and the verdict.
  package var text: String {
    let rows = points.sorted { $0.rate < $1.rate }.map(Self.cells)
    return TextTable(head: Self.columns, rows: rows).text + "\n\(verdict)\n"
  }

  package var json: BodyValue {
    let search: BodyValue = [
      "passed": result.passed.map { .number($0) } ?? .null, "failed": result.failed.map { .number($0) } ?? .null,
      "end": .string(result.end.rawValue), "attainment_goal": .number(limits.attainment),
      "precision": .number(limits.precision), "verdict": .string(verdict),
    ]
    return ["result": search, "points": .array(points.map(Self.json))]
  }

  private static func json(_ point: Point) -> BodyValue {
    let summary = point.run.summary
    var fields = BodyValue.Fields()
    fields["request_rate"] = .number(point.rate)
    fields["requests"] = BodyValue(summary.requests)
    fields["attainment"] = .number(point.attainment)
    fields["failed"] = BodyValue(summary.failed)
    fields["request_throughput"] = .number(summary.requestThroughput)
    fields["output_throughput"] = .number(summary.outputThroughput)
    for metric in [LatencyMetric.ttft, .tpot, .itl, .e2el] {
      guard let latency = summary.latencies[metric], latency.count > 0 else { continue }
      fields["mean_\(metric.rawValue)_ms"] = .number(latency.mean)
      fields["median_\(metric.rawValue)_ms"] = .number(latency.median)
      for percentile in latency.percentiles {
        fields["p\(Quantity.digits(percentile.rank))_\(metric.rawValue)_ms"] = .number(percentile.milliseconds)
      }
    }
    return .object(fields)
  }
}
