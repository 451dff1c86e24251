extension Comparison {
  /// One sentence that says no more than the rounds show.
  package var verdict: String {
    if failedA + failedB > 0 {
      return "No verdict on speed, as requests failed: \(labelA) \(Quantity.count(failedA)) of "
        + "\(Quantity.count(requestsA)), \(labelB) \(Quantity.count(failedB)) of \(Quantity.count(requestsB))."
    }
    let judged = rows.filter(\.figure.isInVerdict)
    guard !judged.isEmpty else { return "No verdict: no request was answered." }
    guard judged.contains(where: { $0.estimate.interval != nil }) else {
      return "No verdict: one round shows no noise, so no difference can be told from it. Raise --rounds."
    }
    return Self.sentence(labelA, labelB, judged)
  }

  private static func sentence(_ labelA: String, _ labelB: String, _ rows: [Row]) -> String {
    let better = rows.filter { $0.isBetter == true }
    let worse = rows.filter { $0.isBetter == false }
    let same = rows.filter { $0.isBetter == nil }
    if better.isEmpty && worse.isEmpty {
      return "\(labelA) and \(labelB) do not differ: "
        + list(same.map { "\($0.figure.name) \($0.intervalText)" }) + " (ratios, 99 % intervals)."
    }
    var parts: [String] = []
    if !better.isEmpty { parts.append("better in " + list(better.map(\.ratioText))) }
    if !worse.isEmpty { parts.append("worse in " + list(worse.map(\.ratioText))) }
    let rest = same.isEmpty ? "" : "; \(list(same.map(\.figure.name))) do\(same.count == 1 ? "es" : "") not differ"
    return "\(labelB) is \(parts.joined(separator: ", but ")) than \(labelA)\(rest)."
  }

  private static func list(_ items: [String]) -> String {
    items.count < 2 ? items.joined() : items.dropLast().joined(separator: ", ") + " and " + items.last!
  }
}

extension Comparison.Row {
  /// Whether B is better than A beyond the noise, or worse; nil if neither can be said.
  package var isBetter: Bool? {
    switch estimate.difference(least: Comparison.leastDifference) {
    case .none: nil
    case .larger: figure.isBetterWhenLarger
    case .smaller: !figure.isBetterWhenLarger
    }
  }

  /// `mean TTFT (0.62×)`
  fileprivate var ratioText: String { "\(figure.name) (\(Quantity.fixed(estimate.ratio, 2))×)" }

  /// `0.97–1.04`
  package var intervalText: String {
    estimate.interval.map { "\(Quantity.fixed($0.lowerBound, 2))–\(Quantity.fixed($0.upperBound, 2))" } ?? "–"
  }
}
