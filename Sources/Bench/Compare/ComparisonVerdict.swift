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
    let same = rows.filter { $0.isBetter == nil && !$0.isUnclear }
    let unclear = rows.filter(\.isUnclear)
    let names = list(same.map(\.figure.name))
    let doNot = same.count == 1 ? "does not differ" : "do not differ"
    if better.isEmpty && worse.isEmpty {
      guard unclear.isEmpty else {
        return "The rounds differ too much to tell \(labelA) from \(labelB) in "
          + list(unclear.map { "\($0.figure.name) \($0.intervalText)" })
          + " (ratios, 99 % intervals)\(same.isEmpty ? "" : "; \(names) \(doNot)"). Raise --rounds or --num-prompts."
      }
      return "\(labelA) and \(labelB) do not differ: "
        + list(same.map { "\($0.figure.name) \($0.intervalText)" }) + " (ratios, 99 % intervals)."
    }
    var parts: [String] = []
    if !better.isEmpty { parts.append("better in " + list(better.map(\.ratioText))) }
    if !worse.isEmpty { parts.append("worse in " + list(worse.map(\.ratioText))) }
    return "\(labelB) is \(parts.joined(separator: ", but ")) than \(labelA)"
      + (same.isEmpty ? "" : "; \(names) \(doNot)")
      + (unclear.isEmpty ? "" : "; \(list(unclear.map(\.figure.name))) cannot be told from so few rounds") + "."
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

  /// Whether nothing can be said and a difference of a quarter could hide in the interval.
  var isUnclear: Bool { isBetter == nil && estimate.interval.map { $0.upperBound > 1.25 * $0.lowerBound } ?? true }

  /// `mean TTFT (0.62×)`
  fileprivate var ratioText: String { "\(figure.name) (\(Quantity.fixed(estimate.ratio, 2))×)" }

  /// `0.97–1.04`; what lies beyond a factor of 100 is not told.
  package var intervalText: String {
    guard let interval = estimate.interval else { return "–" }
    let low = interval.lowerBound < 0.01 ? "<0.01" : Quantity.fixed(interval.lowerBound, 2)
    return low + "–" + (interval.upperBound > 100 ? ">100" : Quantity.fixed(interval.upperBound, 2))
  }
}
