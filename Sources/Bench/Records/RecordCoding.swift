import ServingAPI

/// Why a line of a raw file is not what it should be.
package struct RecordSyntaxError: Error, Equatable, CustomStringConvertible {
  package var line: Int
  package var reason: String

  package init(line: Int, reason: String) {
    self.line = line
    self.reason = reason
  }

  package var description: String {
    "Line \(line) of the raw results is no record of xpyd bench: \(reason). Was the file cut or edited?"
  }
}

extension RequestRecord {
  /// Its line of the raw file; what is nil or usual is left out.
  package var json: BodyValue {
    var fields = BodyValue.Fields()
    fields["index"] = BodyValue(index)
    fields["scheduled"] = .number(scheduled)
    fields["held_until"] = heldUntil.map { .number($0) }
    fields["started"] = started.map { .number($0) }
    fields["first_token"] = firstToken.map { .number($0) }
    fields["finished"] = .number(finished)
    fields["chunk_times"] = .array(chunkTimes.map { .number($0) })
    fields["prompt_tokens"] = promptTokens.map { BodyValue($0) }
    fields["output_tokens"] = outputTokens.map { BodyValue($0) }
    fields["token_source"] = tokenSource.map { .string($0.rawValue) }
    fields["status"] = status.map { BodyValue($0) }
    fields["outcome"] = .string(outcome.rawValue)
    fields["error"] = error.map { .string($0) }
    fields["request_id"] = requestID.map { .string($0) }
    fields["timing"] = timing?.json
    fields["session"] = session.map { .string($0) }
    fields["slow_reader"] = isSlowReader ? .bool(true) : nil
    fields["text"] = text.map { .string($0) }
    return .object(fields)
  }

  /// - Parameter line: The number that an error names.
  package init(_ json: BodyValue, line: Int) throws(RecordSyntaxError) {
    guard let index = json["index"]?.intValue, let scheduled = json["scheduled"]?.doubleValue,
      let finished = json["finished"]?.doubleValue, let word = json["outcome"]?.stringValue,
      let outcome = Outcome(rawValue: word)
    else { throw RecordSyntaxError(line: line, reason: "index, scheduled, finished or outcome is missing or wrong") }
    self.init(index: index, scheduled: scheduled, finished: finished, outcome: outcome)
    let times = json["chunk_times"]?.arrayValue ?? []
    chunkTimes = times.compactMap(\.doubleValue)
    guard chunkTimes.count == times.count else {
      throw RecordSyntaxError(line: line, reason: "chunk_times holds something that is no number")
    }
    heldUntil = json["held_until"]?.doubleValue
    started = json["started"]?.doubleValue
    firstToken = json["first_token"]?.doubleValue
    promptTokens = json["prompt_tokens"]?.intValue
    outputTokens = json["output_tokens"]?.intValue
    tokenSource = json["token_source"]?.stringValue.flatMap(TokenSource.init)
    status = json["status"]?.intValue
    error = json["error"]?.stringValue
    requestID = json["request_id"]?.stringValue
    timing = json["timing"].map(ServerTiming.init)
    session = json["session"]?.stringValue
    isSlowReader = json["slow_reader"] == .bool(true)
    text = json["text"]?.stringValue
    guard isPlausible else {
      throw RecordSyntaxError(line: line, reason: "a time is beyond ten million seconds, or a count beyond a billion")
    }
  }

  /// Whether bins, sums and conversions of its values stay within bounds, whoever wrote the file.
  private var isPlausible: Bool {
    let times = [scheduled, finished] + [heldUntil, started, firstToken].compactMap(\.self) + chunkTimes
    return times.allSatisfy { abs($0) <= 1e7 }
      && [index, promptTokens ?? 0, outputTokens ?? 0].allSatisfy { (0...1_000_000_000).contains($0) }
  }
}

extension ServerTiming {
  var json: BodyValue {
    var fields = BodyValue.Fields()
    fields["prefiller"] = prefiller.map { .string($0) }
    fields["decoder"] = decoder.map { .string($0) }
    fields["queue"] = queue.map { .number($0) }
    fields["prefill"] = prefill.map { .number($0) }
    fields["transfer"] = transfer.map { .number($0) }
    fields["decode"] = decode.map { .number($0) }
    return .object(fields)
  }

  init(_ json: BodyValue) {
    prefiller = json["prefiller"]?.stringValue
    decoder = json["decoder"]?.stringValue
    queue = json["queue"]?.doubleValue
    prefill = json["prefill"]?.doubleValue
    transfer = json["transfer"]?.doubleValue
    decode = json["decode"]?.doubleValue
  }
}

extension BodyValue {
  package var doubleValue: Double? {
    switch self {
    case .number(let number): number
    case .integer(let integer): Double(integer)
    default: nil
    }
  }

  /// A whole number, also if it is written as `3.0`.
  package var intValue: Int? {
    switch self {
    case .integer(let integer): Int(exactly: integer)
    case .number(let number): Int(exactly: number)
    default: nil
    }
  }
}
