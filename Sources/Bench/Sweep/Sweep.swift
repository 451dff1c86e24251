/// The points of a search for the knee, and what they say.
package struct Sweep: Sendable {
  package struct Point: Sendable {
    /// Requests/s asked.
    package let rate: Double
    package let run: RunReport

    /// Share of the requests that met the SLO. A request that failed met none.
    package var attainment: Double { run.summary.attainment ?? 0 }

    /// By how much the client itself sent late at most, but for one request of a hundred; in seconds.
    var clientLag: Double { (run.summary.clientLag.percentiles.first { $0.rank == 99 }?.milliseconds ?? 0) / 1000 }
  }

  package let limits: RateSearch.Limits
  /// In the order in which they were measured.
  package let points: [Point]
  package let result: RateSearch.Result

  /// Measures point after point until the search has its result.
  ///
  /// - Parameters:
  ///   - measure: Sends so many requests at so many a second; the run's header names the SLO. nil if it was interrupted.
  ///   - seconds: Since any fixed moment: what a point takes includes its preparation.
  package static func run(
    _ limits: RateSearch.Limits, seconds: () -> Double, onPoint: (Point) -> Void = { _ in },
    measure: (_ rate: Double, _ requests: Int) async throws -> RunReport?
  ) async throws -> Sweep {
    var search = RateSearch(limits)
    var points: [Point] = []
    while case .measure(let rate, let requests) = search.next {
      let start = seconds()
      guard let run = try await measure(rate, requests) else {
        return Sweep(limits: limits, points: points, result: search.interrupted)
      }
      let point = Point(rate: rate, run: run)
      search.record(attainment: point.attainment, seconds: seconds() - start)
      points.append(point)
      onPoint(point)
    }
    guard case .done(let result) = search.next else { preconditionFailure("a search ends with its result") }
    return Sweep(limits: limits, points: points, result: result)
  }

  /// All measurements at a rate, for one may have been repeated.
  func points(at rate: Double?) -> [Point] { points.filter { $0.rate == rate } }

  func attainment(at rate: Double?) -> Double? {
    let there = points(at: rate)
    return there.isEmpty ? nil : there.reduce(0) { $0 + $1.attainment } / Double(there.count)
  }
}

extension Sweep {
  /// What the deployment carries, in a sentence or two, and whether the client may have been the limit.
  package var verdict: String { finding + clientWarning }

  private var clientWarning: String {
    guard let lag = points(at: result.failed).map(\.clientLag).max(), lag > 0.01 else { return "" }
    return " The client itself sent up to \(Quantity.time(lag)) late there (P99), so the limit may be its own."
  }

  private var finding: String {
    let header = points.first?.run.header ?? RunHeader()
    let goal = header.reported.objectives.map(\.words).joined(separator: " and ")
    func share(_ rate: Double?) -> String { attainment(at: rate).map { Quantity.share($0) } ?? "–" }
    func rate(_ rate: Double?) -> String { "\(rate.map { Quantity.digits($0) } ?? "–") req/s" }
    let carried = "\(rate(result.passed)): \(share(result.passed)) of the requests met \(goal)"
    let beyond = "at \(rate(result.failed)) \(share(result.failed)) did"
    switch result.end {
    case .precise: return "This deployment carries \(carried); \(beyond)."
    case .neverFailed:
      return "This deployment carries at least \(carried). Nothing higher was tried: raise --max-rate."
    case .neverPassed:
      return "This deployment keeps the SLO at no rate that was tried: even at \(rate(result.failed)) only "
        + "\(share(result.failed)) of the requests met \(goal). Lower --min-rate, or loosen --goodput."
    case .outOfTime:
      return unfinished(carried, beyond, "The time was over before the search was: raise --time-budget.")
    case .interrupted: return unfinished(carried, beyond, "The search was interrupted.")
    }
  }

  private func unfinished(_ carried: String, _ beyond: String, _ advice: String) -> String {
    switch (result.passed, result.failed) {
    case (_?, _?): return "This deployment carries at least \(carried); \(beyond). \(advice)"
    case (_?, nil): return "This deployment carries at least \(carried). \(advice)"
    case (nil, _?): return "No rate passed so far; \(beyond). \(advice)"
    case (nil, nil): return "No rate was judged. \(advice)"
    }
  }
}
