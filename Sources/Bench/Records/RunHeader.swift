import ServingAPI

/// The first line of a raw file: what was run, against what, by whom. With the records it is all that a report needs.
package struct RunHeader: Sendable, Equatable {
  /// As the user typed it, words apart.
  package var commandLine: [String] = []
  /// Of xpyd.
  package var version = ""
  /// UTC, ISO 8601.
  package var startedAt = ""
  package var backend = "openai"
  package var label: String?
  /// The URL that requests went to.
  package var target = ""
  package var model = ""
  package var tokenizer: String?
  /// In words: `random, 7500 tokens in, 200 out`.
  package var workload = ""
  package var seed: UInt64 = 0
  package var requests = 0
  package var traffic = Traffic()
  package var reported = ReportedFigures()
  /// What the user adds for the record: `--metadata`.
  package var metadata: [Metadata] = []
  package var client = ClientHost()

  package init() {}

  package struct Metadata: Sendable, Equatable {
    package var key: String
    package var value: String

    package init(key: String, value: String) {
      self.key = key
      self.value = value
    }
  }

  /// How requests were told to arrive.
  package struct Traffic: Sendable, Equatable {
    /// Requests/s; nil stands for all at once.
    package var requestRate: Double?
    package var burstiness = 1.0
    package var maxConcurrency: Int?
    package var rampUp: RampUp?
    /// Requests arrive as the trace says, whatever the rate.
    package var followsTrace = false

    package init() {}

    package var isAllAtOnce: Bool { requestRate == nil && rampUp == nil && !followsTrace }
  }

  /// The machine that measured.
  package struct ClientHost: Sendable, Equatable {
    package var name = ""
    package var processors = 0
    package var system = ""

    package init() {}
  }
}

extension RunHeader {
  package var json: BodyValue {
    var fields = BodyValue.Fields()
    fields["run"] = 1
    fields["command_line"] = .array(commandLine.map { .string($0) })
    fields["xpyd_version"] = .string(version)
    fields["started_at"] = .string(startedAt)
    fields["backend"] = .string(backend)
    fields["label"] = BodyValue(label)
    fields["target"] = .string(target)
    fields["model"] = .string(model)
    fields["tokenizer"] = BodyValue(tokenizer)
    fields["workload"] = .string(workload)
    // As text: a seed may need all 64 bits.
    fields["seed"] = .string(String(seed))
    fields["requests"] = BodyValue(requests)
    fields["traffic"] = traffic.json
    fields["reported"] = reported.json
    fields["metadata"] = .array(metadata.map { .array([.string($0.key), .string($0.value)]) })
    fields["client"] = [
      "name": .string(client.name), "processors": BodyValue(client.processors), "system": .string(client.system),
    ]
    return .object(fields)
  }

  package init(_ json: BodyValue) throws(RecordSyntaxError) {
    guard json["run"] == 1 else { throw RecordSyntaxError(line: 1, reason: "it is no run header of version 1") }
    commandLine = (json["command_line"]?.arrayValue ?? []).compactMap(\.stringValue)
    version = json["xpyd_version"]?.stringValue ?? ""
    startedAt = json["started_at"]?.stringValue ?? ""
    backend = json["backend"]?.stringValue ?? ""
    label = json["label"]?.stringValue
    target = json["target"]?.stringValue ?? ""
    model = json["model"]?.stringValue ?? ""
    tokenizer = json["tokenizer"]?.stringValue
    workload = json["workload"]?.stringValue ?? ""
    seed = json["seed"]?.stringValue.flatMap { UInt64($0) } ?? 0
    requests = json["requests"]?.intValue ?? 0
    traffic = json["traffic"].map(Traffic.init) ?? Traffic()
    reported = json["reported"].map(ReportedFigures.init) ?? ReportedFigures()
    metadata = (json["metadata"]?.arrayValue ?? []).compactMap { pair in
      guard let words = pair.arrayValue?.compactMap(\.stringValue), words.count == 2 else { return nil }
      return Metadata(key: words[0], value: words[1])
    }
    client.name = json["client"]?["name"]?.stringValue ?? ""
    client.processors = json["client"]?["processors"]?.intValue ?? 0
    client.system = json["client"]?["system"]?.stringValue ?? ""
  }
}

extension RunHeader.Traffic {
  var json: BodyValue {
    var fields = BodyValue.Fields()
    fields["request_rate"] = requestRate.map { .number($0) } ?? .null
    fields["burstiness"] = .number(burstiness)
    fields["max_concurrency"] = maxConcurrency.map { BodyValue($0) } ?? .null
    if let rampUp {
      fields["ramp_up"] = [
        "strategy": .string(rampUp.strategy.rawValue), "start_rps": BodyValue(rampUp.start),
        "end_rps": BodyValue(rampUp.end),
      ]
    }
    fields["follows_trace"] = .bool(followsTrace)
    return .object(fields)
  }

  init(_ json: BodyValue) {
    followsTrace = json["follows_trace"] == .bool(true)
    requestRate = json["request_rate"]?.doubleValue
    burstiness = json["burstiness"]?.doubleValue ?? 1
    maxConcurrency = json["max_concurrency"]?.intValue
    if let ramp = json["ramp_up"], let strategy = ramp["strategy"]?.stringValue.flatMap(RampUp.Strategy.init),
      let start = ramp["start_rps"]?.intValue, let end = ramp["end_rps"]?.intValue
    {
      rampUp = RampUp(strategy: strategy, start: start, end: end)
    }
  }
}
