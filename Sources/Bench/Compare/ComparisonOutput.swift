import ServingAPI

extension Comparison {
  package var columns: [String] { ["median of rounds", labelA, labelB, "B / A", "99 % interval", "rounds' range"] }

  /// A row of `columns`.
  package func cells(_ row: Row) -> [String] {
    let range = row.estimate.range
    return [
      "\(row.figure.name) (\(row.figure.unit))", Quantity.digits(row.a), Quantity.digits(row.b),
      "\(Quantity.fixed(row.estimate.ratio, 2))×", row.intervalText,
      "\(Quantity.fixed(range.lowerBound, 2))–\(Quantity.fixed(range.upperBound, 2))",
    ]
  }

  /// A Markdown table, and the verdict.
  package var text: String {
    TextTable(head: columns, rows: rows.map(cells)).text + "\n\(verdict)\n"
  }

  package var json: BodyValue {
    [
      "a": .string(labelA), "b": .string(labelB), "verdict": .string(verdict),
      "figures": .array(rows.map(Self.json)), "rounds": .array(rounds.map(Self.json)),
    ]
  }

  private static func json(_ row: Row) -> BodyValue {
    [
      "figure": .string(row.figure.rawValue), "a": .number(row.a), "b": .number(row.b),
      "ratio": .number(row.estimate.ratio),
      "interval_99": row.estimate.interval.map(json) ?? .null, "range": json(row.estimate.range),
      "b_is_better": row.isBetter.map { .bool($0) } ?? .null,
    ]
  }

  private static func json(_ range: ClosedRange<Double>) -> BodyValue {
    .array([.number(range.lowerBound), .number(range.upperBound)])
  }

  private static func json(_ round: Round) -> BodyValue { ["a": json(round.a), "b": json(round.b)] }

  private static func json(_ side: Side) -> BodyValue {
    var fields = BodyValue.Fields()
    fields["requests"] = BodyValue(side.requests)
    fields["failed"] = BodyValue(side.failed)
    for figure in ComparedFigure.allCases { fields[figure.rawValue] = side.figures[figure].map { .number($0) } }
    return .object(fields)
  }
}
