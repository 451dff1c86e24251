/// How results are written: each event's text as it comes, so that a long run shows how far it is.
package struct BenchOutput: Sendable {
  package enum Format: String, CaseIterable, Sendable {
    case text
    case json
    case csv
  }

  private let format: Format
  /// Of the longest test's name.
  private let nameWidth: Int
  private var json = JSONReport()

  package init(_ format: Format, tests: [BenchTest]) {
    self.format = format
    nameWidth = max(4, tests.map(\.description.count).max() ?? 0)
  }

  /// - Returns: What to print now, with its line ends; empty where the format waits for the end.
  package mutating func text(for event: EngineMeasurement.Event) -> String {
    switch format {
    case .text: return table(event)
    case .csv: return lines(event)
    case .json:
      json.add(event)
      return ""
    }
  }

  /// - Returns: What to print after the last event.
  package func end() -> String { format == .json ? json.text() : "" }

  // MARK: Text

  private func table(_ event: EngineMeasurement.Event) -> String {
    switch event {
    case .model(let subject):
      return """
        \(subject.modelPath), \(fixed(Double(subject.modelBytes) / 1e6, 1)) MB
        \(subject.processor), \(subject.instructionSet), activations in \(subject.activations)

        """
    case .peaks(let peaks):
      return """

        \(peaks.threads) thread\(peaks.threads == 1 ? "" : "s"), peaks: \
        \(fixed(peaks.operations / 1e9, 1)) GFLOP/s, \(fixed(peaks.bytes / 1e9, 1)) GB/s

        \(Self.row(["test", "threads", "tok/s", "min–max", "GFLOP/s", "of peak", "GB/s", "of peak"], nameWidth))
        \(Self.rule(nameWidth))

        """
    case .row(let row):
      let rate = row.tokensPerSecond
      return Self.row(
        [
          "\(row.test)", "\(row.threads)", fixed(rate.median, 1), "\(fixed(rate.min, 1))–\(fixed(rate.max, 1))",
          fixed(row.operations / 1e9, 1), "\(fixed(row.operationShare * 100, 0)) %",
          fixed(row.bytes / 1e9, 2), "\(fixed(row.byteShare * 100, 0)) %",
        ], nameWidth) + "\n"
    }
  }

  private static func widths(_ nameWidth: Int) -> [Int] { [nameWidth, 7, 8, 15, 7, 7, 6, 7] }

  /// A line of a Markdown table; names to the left, numbers to the right.
  private static func row(_ cells: [String], _ nameWidth: Int) -> String {
    let padded = zip(cells, widths(nameWidth)).enumerated().map { index, cell in
      let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return index == 0 ? cell.0 + padding : padding + cell.0
    }
    return "| " + padded.joined(separator: " | ") + " |"
  }

  private static func rule(_ nameWidth: Int) -> String {
    let dashes = widths(nameWidth).enumerated().map { index, width in
      String(repeating: "-", count: width + 1) + (index == 0 ? "-" : ":")
    }
    return "|" + dashes.joined(separator: "|") + "|"
  }

  // MARK: CSV

  private func lines(_ event: EngineMeasurement.Event) -> String {
    switch event {
    case .model:
      return "test,threads,tokens_per_second,min,max,gflops,gflops_share,gigabytes_per_second,gigabytes_share\n"
    case .peaks: return ""
    case .row(let row):
      let rate = row.tokensPerSecond
      let numbers = [
        fixed(rate.median, 2), fixed(rate.min, 2), fixed(rate.max, 2), fixed(row.operations / 1e9, 2),
        fixed(row.operationShare, 4), fixed(row.bytes / 1e9, 3), fixed(row.byteShare, 4),
      ]
      return "\(row.test),\(row.threads),\(numbers.joined(separator: ","))\n"
    }
  }
}

/// `number` with so many digits after its point, rounded half away from zero.
func fixed(_ number: Double, _ digits: Int) -> String {
  guard number.isFinite, abs(number) < 1e15 else { return "\(number)" }
  let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
  let scaled = Int((abs(number) * Double(scale)).rounded())
  let sign = number < 0 && scaled > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(scaled)" }
  let fraction = "\(scaled % scale)"
  return "\(sign)\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}
