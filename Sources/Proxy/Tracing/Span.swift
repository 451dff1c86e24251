import ServingAPI

/// One part of a request's way, as OpenTelemetry has it.
package struct Span: Sendable {
  /// OTLP's numbers.
  package enum Kind: Int64, Sendable {
    case `internal` = 1
    case server = 2
    case client = 3
  }

  package var trace: TraceContext.TraceID
  package var id: TraceContext.SpanID
  package var parent: TraceContext.SpanID?
  package var name: String
  package var kind: Kind
  /// Nanoseconds since 1970.
  package var start: UInt64
  package var end: UInt64
  package var attributes: [(key: String, value: BodyValue)] = []
  /// What went wrong, of a closed set.
  package var errorType: String?
}

extension Span {
  /// The body of `POST /v1/traces`. Source: OTLP 1.x, JSON encoding: ids in hex, 64-bit numbers as strings.
  package static func request(_ spans: [Span], service: String, version: String) -> BodyValue {
    let resource: BodyValue = [
      "attributes": attributes([
        ("service.name", .string(service)), ("service.version", .string(version)),
      ])
    ]
    let scope: BodyValue = ["name": "xpyd.proxy", "version": .string(version)]
    return [
      "resourceSpans": [
        ["resource": resource, "scopeSpans": [["scope": scope, "spans": .array(spans.map(\.encoded))]]]
      ]
    ]
  }

  private var encoded: BodyValue {
    var fields = BodyValue.Fields()
    fields["traceId"] = .string(trace.text)
    fields["spanId"] = .string(id.text)
    if let parent { fields["parentSpanId"] = .string(parent.text) }
    fields["name"] = .string(name)
    fields["kind"] = .integer(kind.rawValue)
    fields["startTimeUnixNano"] = .string("\(start)")
    fields["endTimeUnixNano"] = .string("\(end)")
    let error = errorType.map { [("error.type", BodyValue.string($0))] } ?? []
    fields["attributes"] = Self.attributes(attributes + error)
    // 2: error. Without one nothing is said, as the specification wants it of instrumentation.
    if let errorType { fields["status"] = ["code": 2, "message": .string(errorType)] }
    return .object(fields)
  }

  private static func attributes(_ pairs: [(key: String, value: BodyValue)]) -> BodyValue {
    .array(pairs.map { ["key": .string($0.key), "value": wrapped($0.value)] })
  }

  private static func wrapped(_ value: BodyValue) -> BodyValue {
    switch value {
    case .integer(let number): ["intValue": .string("\(number)")]
    case .number: ["doubleValue": value]
    case .bool: ["boolValue": value]
    default: ["stringValue": value]
    }
  }
}
