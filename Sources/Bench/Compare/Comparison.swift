/// Two endpoints after rounds of the same work, and what may be said about them.
package struct Comparison: Equatable, Sendable {
  /// What one endpoint did in one round.
  package struct Side: Equatable, Sendable {
    package var figures: [ComparedFigure: Double]
    package var requests: Int
    package var failed: Int

    package init(figures: [ComparedFigure: Double], requests: Int, failed: Int) {
      self.figures = figures
      self.requests = requests
      self.failed = failed
    }
  }

  /// In which the two had the same work, one after the other.
  package struct Round: Equatable, Sendable {
    package var a: Side
    package var b: Side

    package init(a: Side, b: Side) {
      self.a = a
      self.b = b
    }
  }

  package struct Row: Equatable, Sendable {
    package let figure: ComparedFigure
    /// Medians over the rounds.
    package let a: Double
    package let b: Double
    package let estimate: RatioEstimate
  }

  /// A difference smaller than this is not worth a word, however sure.
  package static let leastDifference = 0.01

  package let labelA: String
  package let labelB: String
  package let rounds: [Round]
  /// Those figures that both sides have.
  package let rows: [Row]

  package init(labelA: String, labelB: String, rounds: [Round]) {
    self.labelA = labelA
    self.labelB = labelB
    self.rounds = rounds
    rows = ComparedFigure.allCases.compactMap { figure in
      let pairs = rounds.map { (a: $0.a.figures[figure], b: $0.b.figures[figure]) }
      guard let a = median(of: pairs.compactMap(\.a)), let b = median(of: pairs.compactMap(\.b)),
        let estimate = RatioEstimate(rounds: pairs)
      else { return nil }
      return Row(figure: figure, a: a, b: b, estimate: estimate)
    }
  }

  package var failedA: Int { rounds.reduce(0) { $0 + $1.a.failed } }
  package var failedB: Int { rounds.reduce(0) { $0 + $1.b.failed } }
  package var requestsA: Int { rounds.reduce(0) { $0 + $1.a.requests } }
  package var requestsB: Int { rounds.reduce(0) { $0 + $1.b.requests } }
}

/// The middle value, or the mean of the two in the middle; nil of none.
func median(of values: [Double]) -> Double? {
  guard !values.isEmpty else { return nil }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
