/// How rows are written.
package struct TransferOutput: Sendable {
  package enum Format: String, CaseIterable, Sendable {
    case text
    case json
  }

  private let format: Format
  private var rows: [String] = []
  private var comparisons: [String] = []

  package init(_ format: Format) { self.format = format }

  private static let columns = [
    ("transport", 9), ("checksums", 9), ("streams", 7), ("bytes", 11), ("GB/s", 7), ("min–max", 13),
    ("memcpy", 7), ("of memcpy", 9), ("p50 µs", 9), ("p99 µs", 9), ("first ms", 8),
  ]

  /// - Returns: What to print before the first row.
  package func start() -> String {
    guard format == .text else { return "" }
    let rule = Self.columns.map { String(repeating: "-", count: $0.1 + 1) }
    return Self.line(Self.columns.map(\.0)) + "|" + rule.map { "\($0):" }.joined(separator: "|") + "|\n"
  }

  /// - Returns: What to print now.
  package mutating func add(_ row: TransferRow) -> String {
    if format == .text { return Self.line(Self.cells(row)) }
    rows.append(Self.object(row))
    return ""
  }

  /// - Returns: What to print now.
  package mutating func add(_ row: NixlRow) -> String {
    if format == .text { return "\(row)" }
    comparisons.append(
      """
      {"bytes": \(row.bytes), "c_api_microseconds": \(fixed(row.median.bare * 1e6, 1)), \
      "adapter_microseconds": \(fixed(row.median.adapter * 1e6, 1)), "share_of_c_api": \(fixed(row.share, 3))}
      """)
    return ""
  }

  /// - Returns: What to print after the last row.
  package func end() -> String {
    func list(_ name: String, _ rows: [String]) -> String {
      "\"\(name)\": [\n  \(rows.joined(separator: ",\n  "))\n]"
    }
    let comparison = comparisons.isEmpty ? "" : ", \(list("nixl_reads", comparisons))"
    return format == .text ? "" : "{\(list("rows", rows))\(comparison)}\n"
  }

  private static func line(_ cells: [String]) -> String {
    let padded = zip(cells, columns).map { String(repeating: " ", count: max(0, $1.1 - $0.count)) + $0 }
    return "| " + padded.joined(separator: " | ") + " |\n"
  }

  private static func cells(_ row: TransferRow) -> [String] {
    let (test, rate) = (row.test, row.rate)
    return [
      "\(test.transport)", "\(test.checksums)", "\(test.streams)", "\(test.bytes)", fixed(rate.median, 3),
      "\(fixed(rate.min, 3))–\(fixed(rate.max, 3))", fixed(row.copyRate.median, 2), "\(fixed(row.shareOfCopy, 2))×",
      fixed(row.latency.median * 1e6, 1), fixed(row.latency.p99 * 1e6, 1), fixed(row.first * 1e3, 1),
    ]
  }

  private static func object(_ row: TransferRow) -> String {
    let test = row.test
    func spread(_ rate: (median: Double, min: Double, max: Double)) -> String {
      "{\"median\": \(fixed(rate.median, 3)), \"min\": \(fixed(rate.min, 3)), \"max\": \(fixed(rate.max, 3))}"
    }
    return """
      {"transport": "\(test.transport)", "checksums": "\(test.checksums)", "streams": \(test.streams), \
      "bytes": \(test.bytes), "repetitions": \(row.rounds.count), \
      "gigabytes_per_second": \(spread(row.rate)), "memcpy_gigabytes_per_second": \(spread(row.copyRate)), \
      "share_of_memcpy": \(fixed(row.shareOfCopy, 3)), "latency_microseconds": \
      {"p50": \(fixed(row.latency.median * 1e6, 1)), "p99": \(fixed(row.latency.p99 * 1e6, 1))}, \
      "first_milliseconds": \(fixed(row.first * 1e3, 1))}
      """
  }
}

/// `number` with so many digits after its point.
func fixed(_ number: Double, _ digits: Int) -> String {
  guard number.isFinite, abs(number) < 1e12 else { return "\(number)" }
  let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
  let scaled = Int((abs(number) * Double(scale)).rounded())
  let fraction = "\(scaled % scale)"
  let padding = String(repeating: "0", count: digits - fraction.count)
  return "\(number < 0 && scaled > 0 ? "-" : "")\(scaled / scale).\(padding)\(fraction)"
}
