/// What a run showed, in plain words: one finding a sentence, the gravest first.
package struct RunVerdict: Equatable, Sendable {
  package enum Mood: String, Sendable { case good, warning, bad }

  package struct Finding: Equatable, Sendable {
    package let mood: Mood
    package let text: String
  }

  package let findings: [Finding]

  package init(_ run: RunReport) {
    let summary = run.summary
    guard summary.requests > 0 else {
      findings = [Finding(mood: .warning, text: "No request was sent.")]
      return
    }
    let findings = [
      Self.failures(summary), Self.objectives(summary, run.header), Self.growth(run.charts), Self.latency(summary),
      Self.rate(run), Self.client(summary),
    ]
    let grave: [Mood] = [.bad, .warning, .good]
    self.findings = grave.flatMap { mood in findings.compactMap(\.self).filter { $0.mood == mood } }
  }

  private static func failures(_ summary: RunSummary) -> Finding {
    let all = Quantity.count(summary.requests)
    let left = summary.cancelled == 0 ? "" : ", \(Quantity.count(summary.cancelled)) left on purpose"
    guard summary.failed > 0 else {
      let words = summary.requests == 1 ? "The one request" : "All \(all) requests"
      return Finding(
        mood: .good,
        text: left.isEmpty ? "\(words) succeeded." : "Of \(all) requests none failed\(left).")
    }
    let kinds = summary.failures.map { "\(Quantity.count($0.count)) × \($0.name)" }.joined(separator: ", ")
    let share = Quantity.share(Double(summary.failed) / Double(summary.requests))
    return Finding(
      mood: .bad,
      text: "\(Quantity.count(summary.failed)) of \(all) requests failed (\(share))\(left): \(kinds).")
  }

  private static func objectives(_ summary: RunSummary, _ header: RunHeader) -> Finding? {
    guard let attainment = summary.attainment else { return nil }
    let goal = header.reported.objectives.map(\.words).joined(separator: " and ")
    let mood: Mood = attainment >= 0.9 ? .good : attainment >= 0.5 ? .warning : .bad
    return Finding(mood: mood, text: "\(Quantity.share(attainment)) of the requests met \(goal).")
  }

  /// Waits that double within a run tell of a queue that will not end, and of percentiles that depend on how long the
  /// run was.
  private static func growth(_ charts: RunCharts) -> Finding? {
    guard charts.earlyTTFT.count >= 10, charts.lateTTFT.count >= 10, let early = median(of: charts.earlyTTFT),
      let late = median(of: charts.lateTTFT), late > 2 * early, late - early > 0.05
    else { return nil }
    return Finding(
      mood: .warning,
      text: "Waits grew during the run: the median TTFT was \(Quantity.time(early)) in its first third and "
        + "\(Quantity.time(late)) in its last. The load was more than this deployment carries.")
  }

  private static func latency(_ summary: RunSummary) -> Finding? {
    guard let ttft = summary.latencies[.ttft], ttft.count > 0 else { return nil }
    let tokens = summary.latencies[.tpot].flatMap { tpot in
      tpot.count == 0 ? nil : "; after it a token came every \(Quantity.time(tpot.median / 1000))"
    }
    return Finding(
      mood: .good, text: "The first token came after \(Quantity.time(ttft.median / 1000))\(tokens ?? "") (medians).")
  }

  private static func rate(_ run: RunReport) -> Finding? {
    guard run.summary.completed > 0 else { return nil }
    let asked = run.header.traffic.requestRate.map { " of \(Quantity.digits($0)) req/s asked" } ?? ""
    return Finding(
      mood: .good,
      text: "\(Quantity.digits(run.summary.requestThroughput)) req/s\(asked) and "
        + "\(Quantity.digits(run.summary.outputThroughput)) output tokens/s were served.")
  }

  /// A late client's figures are its own: more than 10 ms, or a tenth of the median TTFT, is worth a warning.
  private static func client(_ summary: RunSummary) -> Finding? {
    guard let lag = summary.clientLag.percentiles.first(where: { $0.rank == 99 })?.milliseconds,
      let ttft = summary.latencies[.ttft]?.median, ttft > 0, lag > max(10, ttft / 10)
    else { return nil }
    return Finding(
      mood: .warning,
      text: "The client itself sent up to \(Quantity.time(lag / 1000)) late (P99), which the latencies include. "
        + "Give it more processor time, or less load.")
  }
}

extension RunSummary.Failure {
  /// `HTTP 503`, `timeout`
  var name: String {
    switch outcome {
    case .http: status.map { "HTTP \($0)" } ?? "HTTP error"
    case .errorEvent: "error event"
    case .connect: "no connection"
    case .broken: "broken answer"
    case .ok, .timeout, .cancelled: outcome.rawValue
    }
  }
}

extension ServiceObjective {
  /// `TTFT ≤ 500 ms`
  var words: String { "\(metric.name) ≤ \(Quantity.time(milliseconds / 1000))" }
}
