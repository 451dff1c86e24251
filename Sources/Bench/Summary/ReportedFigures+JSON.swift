import ServingAPI

extension ReportedFigures {
  var json: BodyValue {
    [
      "metrics": .array(metrics.map { .string($0.rawValue) }),
      "percentiles": .array(percentiles.map { .number($0) }),
      "goodput": .array(objectives.map { .string($0.description) }),
    ]
  }

  init(_ json: BodyValue) {
    metrics = (json["metrics"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(LatencyMetric.init) }
    percentiles = (json["percentiles"]?.arrayValue ?? []).compactMap(\.doubleValue)
    objectives = (json["goodput"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(ServiceObjective.init) }
  }
}
