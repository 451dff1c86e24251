/// Finds the highest request rate that a deployment carries: outcome in, next rate or result out.
///
/// Raises the rate by `growth` until a point fails (or lowers it until one passes), then halves the interval between
/// the highest rate that passed and the lowest that failed, on a logarithmic scale, until it is narrower than
/// `precision`. A rate whose attainment is within `margin` of the goal is measured again, `repeats` times in all at
/// most, and judged by its mean: one noisy point does not decide the search.
///
/// The only order: `next` → measure → `record` → `next` …, until `next` is a result, or `interrupted`.
package struct RateSearch: Equatable, Sendable {
  package struct Limits: Equatable, Sendable {
    /// Requests a second, all of them.
    package var start = 1.0
    package var lowest = 0.1
    package var highest = 1000.0
    package var growth = 2.0
    /// How far the rate that failed may lie above the one that passed: 0.05 is 5 %.
    package var precision = 0.05
    /// Share of requests that must meet the SLO, 0…1.
    package var attainment = 0.9
    package var margin = 0.03
    package var repeats = 3
    /// Seconds of arrivals at each point, and requests that it has at least and at most.
    package var pointSeconds = 30.0
    package var leastRequests = 50
    package var mostRequests = 1000
    /// Seconds that all points may take together. None is begun whose arrivals alone would not fit.
    package var timeBudget: Double?

    package init() {}

    package func requests(at rate: Double) -> Int {
      let wanted = (rate * pointSeconds).rounded(.up)
      return wanted >= Double(mostRequests) ? mostRequests : min(max(leastRequests, Int(wanted)), mostRequests)
    }
  }

  package enum Step: Equatable, Sendable {
    case measure(rate: Double, requests: Int)
    case done(Result)
  }

  package struct Result: Equatable, Sendable {
    /// The highest rate that attained the goal; nil if none did.
    package var passed: Double?
    /// The lowest that did not; nil if all did.
    package var failed: Double?
    package var end: End

    package init(passed: Double?, failed: Double?, end: End) {
      self.passed = passed
      self.failed = failed
      self.end = end
    }
  }

  package enum End: String, Sendable {
    /// The interval is as narrow as was asked.
    case precise
    /// Even `highest` passed.
    case neverFailed = "never_failed"
    /// Even `lowest` failed.
    case neverPassed = "never_passed"
    case outOfTime = "out_of_time"
    /// The user stopped it.
    case interrupted
  }

  private let limits: Limits
  private var passed: Double?
  private var failed: Double?
  private var rate: Double
  /// Attainment of each measurement at `rate`.
  private var seen: [Double] = []
  private var spent = 0.0

  /// - Precondition: 0 < lowest ≤ start ≤ highest, growth > 1, precision > 0, repeats ≥ 1, 1 ≤ leastRequests,
  ///   1 ≤ mostRequests, pointSeconds > 0.
  package init(_ limits: Limits) {
    precondition(0 < limits.lowest && limits.lowest <= limits.start && limits.start <= limits.highest)
    precondition(limits.growth > 1 && limits.precision > 0 && limits.repeats >= 1)
    precondition(limits.leastRequests >= 1 && limits.mostRequests >= 1 && limits.pointSeconds > 0)
    self.limits = limits
    rate = limits.start
  }

  package var next: Step {
    if let end { return .done(Result(passed: passed, failed: failed, end: end)) }
    let requests = limits.requests(at: rate)
    if let budget = limits.timeBudget, spent + Double(requests) / rate > budget {
      return .done(Result(passed: passed, failed: failed, end: .outOfTime))
    }
    return .measure(rate: rate, requests: requests)
  }

  /// - Parameters:
  ///   - attainment: Share of the requests sent at `next`'s rate that met the SLO; a failed request met none.
  ///   - seconds: What the measurement took.
  package mutating func record(attainment: Double, seconds: Double) {
    guard end == nil else { return }
    spent += seconds
    seen.append(attainment)
    let isClose = abs(mean - limits.attainment) < limits.margin
    if isClose && seen.count < limits.repeats { return }
    if mean >= limits.attainment { passed = rate } else { failed = rate }
    seen = []
    if end == nil { rate = nextRate }
  }

  /// What is known so far.
  package var interrupted: Result { Result(passed: passed, failed: failed, end: .interrupted) }

  private var mean: Double { seen.reduce(0, +) / Double(seen.count) }

  private var end: End? {
    switch (passed, failed) {
    case (let passed?, let failed?): failed <= passed * (1 + limits.precision) || middle == nil ? .precise : nil
    case (let passed?, nil): passed >= limits.highest ? .neverFailed : nil
    case (nil, let failed?): failed <= limits.lowest ? .neverPassed : nil
    case (nil, nil): nil
    }
  }

  private var nextRate: Double {
    switch (passed, failed) {
    case (let passed?, nil): min(passed * limits.growth, limits.highest)
    case (nil, let failed?): max(failed / limits.growth, limits.lowest)
    default: middle ?? rate
    }
  }

  /// Between the two borders, rounded to three digits; nil if no such number lies between them.
  private var middle: Double? {
    guard let passed, let failed else { return nil }
    let middle = Self.rounded((passed * failed).squareRoot())
    return passed < middle && middle < failed ? middle : nil
  }

  /// To three significant digits, so that the rates in a report are the rates that were sent.
  private static func rounded(_ value: Double) -> Double {
    var scale = 1.0
    while value * scale < 100 { scale *= 10 }
    while value * scale >= 1000 { scale /= 10 }
    return (value * scale).rounded() / scale
  }
}
