import Foundation
import ServingAPI

/// One request of a recorded trace: when it came and how long it was, not what it said.
package struct TraceRow: Sendable, Equatable {
  /// Seconds; of the trace's own clock.
  package var time: Double
  package var inputTokens: Int
  package var outputTokens: Int
  /// Equal ids at equal places are equal tokens; empty if the trace does not tell.
  package var blocks: [Int] = []

  package init(time: Double, inputTokens: Int, outputTokens: Int, blocks: [Int] = []) {
    self.time = time
    self.inputTokens = inputTokens
    self.outputTokens = outputTokens
    self.blocks = blocks
  }
}

/// What a trace of JSON lines calls its fields. The usual names are Mooncake's.
package struct TraceLabels: Sendable, Equatable {
  package var timestamp = "timestamp"
  /// What its timestamps are multiplied with to be seconds.
  package var secondsPerUnit = 0.001
  package var inputLength = "input_length"
  package var outputLength = "output_length"
  package var blocks = "hash_ids"

  package init() {}
}

extension TraceRow {
  /// Reads Mooncake's JSON lines, or the CSV of BurstGPT (`Timestamp,Model,Request tokens,Response tokens,…`) or of
  /// Azure (`TIMESTAMP,ContextTokens,GeneratedTokens`): the first line tells which.
  ///
  /// - Parameter limit: Rows after this many are not read.
  package static func rows(
    _ file: [UInt8], labels: TraceLabels, limit: Int = .max
  ) throws(BenchError) -> [TraceRow] {
    let lines = file.split(separator: UInt8(ascii: "\n"))
    guard let first = lines.first else { throw .badWorkload("The trace is empty.") }
    if first.first == UInt8(ascii: "{") { return try jsonRows(lines.prefix(limit), labels) }
    let names = fields(first).map { $0.lowercased() }
    func column(_ name: String) -> Int? { names.firstIndex(of: name) }
    guard let time = column("timestamp"), let input = column("request tokens") ?? column("contexttokens"),
      let output = column("response tokens") ?? column("generatedtokens")
    else {
      throw .badWorkload("The trace has neither Mooncake's JSON lines nor the columns of BurstGPT's or Azure's CSV.")
    }
    var rows: [TraceRow] = []
    for (number, line) in lines.enumerated().dropFirst() where rows.count < limit {
      let fields = fields(line)
      guard fields.count == names.count, let seconds = seconds(fields[time]), let inputTokens = Int(fields[input]),
        let outputTokens = Int(fields[output])
      else { throw .badWorkload("Line \(number + 1) of the trace has no time and two token counts.") }
      // A failed request of the trace answered nothing.
      guard inputTokens > 0, outputTokens > 0 else { continue }
      rows.append(TraceRow(time: seconds, inputTokens: inputTokens, outputTokens: outputTokens))
    }
    return rows
  }

  private static func jsonRows(
    _ lines: ArraySlice<ArraySlice<UInt8>>, _ labels: TraceLabels
  ) throws(BenchError) -> [TraceRow] {
    var rows: [TraceRow] = []
    for (number, line) in lines.enumerated() {
      guard let row = try? BodyParser.parse(Array(line)), let time = row[labels.timestamp]?.doubleValue,
        let input = row[labels.inputLength]?.intValue, let output = row[labels.outputLength]?.intValue, input > 0
      else {
        throw .badWorkload(
          "Line \(number + 1) of the trace lacks \(labels.timestamp), \(labels.inputLength) or \(labels.outputLength).")
      }
      let blocks = row[labels.blocks]?.arrayValue?.compactMap(\.intValue) ?? []
      rows.append(
        TraceRow(
          time: time * labels.secondsPerUnit, inputTokens: input, outputTokens: max(1, output), blocks: blocks))
    }
    return rows
  }

  private static func fields(_ line: ArraySlice<UInt8>) -> [String] {
    line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map { field in
      String(decoding: field, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  /// A plain number, or a date and time of day, `2023-11-16 18:17:03.9799600`.
  private static func seconds(_ text: String) -> Double? {
    if let number = Double(text) { return number }
    let parts = text.split(whereSeparator: { $0 == " " || $0 == "T" })
    guard parts.count == 2 else { return nil }
    let date = parts[0].split(separator: "-").compactMap { Int($0) }
    let clock = parts[1].split(separator: ":")
    guard date.count == 3, clock.count == 3, let hour = Double(clock[0]), let minute = Double(clock[1]),
      let second = Double(clock[2].filter { $0 != "Z" })
    else { return nil }
    return Double(days(date[0], date[1], date[2])) * 86_400 + hour * 3600 + minute * 60 + second
  }

  /// Since 1970-01-01. Source: Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let era = year / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
