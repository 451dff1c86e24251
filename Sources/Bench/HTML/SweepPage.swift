/// The page of a sweep: the verdict, the curve, every point, and the two runs at the knee in full.
package struct SweepPage {
  private let sweep: Sweep

  package init(_ sweep: Sweep) { self.sweep = sweep }

  package var html: String {
    let header = sweep.points.first?.run.header ?? RunHeader()
    let mood = sweep.result.passed == nil ? RunVerdict.Mood.bad : .good
    return Page(
      title: "xpyd bench sweep",
      body: [
        """
        <h1>xpyd bench sweep: \(header.label ?? header.model)</h1>
        <p class="what">\(header.target) · \(header.workload)</p>
        <ul class="findings">
        <li class="\(mood.rawValue)">\(sweep.verdict)</li>
        </ul>
        <h2>Curves</h2>
        <p class="what">Each dot is a run; red ones missed the goal of \(Quantity.share(sweep.limits.attainment)).</p>
        <div class="charts">
        \(charts)</div>
        <h2>Points</h2>
        \(table)\
        <h2>The runs at the knee</h2>
        \(knee)
        """
      ]
    ).markup.text
  }

  private var charts: [Markup] {
    func curve(_ name: String, _ value: (RunSummary) -> Double?) -> CurveChart.Curve {
      let points = sweep.points.sorted { $0.rate < $1.rate }.compactMap { point in
        value(point.run.summary).map { (point.rate, $0, point.attainment < sweep.limits.attainment) }
      }
      return CurveChart.Curve(name: name, points: points)
    }
    let ttft = { (summary: RunSummary) in summary.latencies[.ttft].flatMap { $0.count > 0 ? $0 : nil } }
    return [
      CurveChart(
        title: "SLO attainment", curves: [curve("share of requests") { $0.attainment }], label: { Quantity.share($0) },
        limit: 1, goal: sweep.limits.attainment),
      CurveChart(
        title: "TTFT",
        curves: [
          curve("median (blue)") { ttft($0).map { $0.median / 1000 } },
          curve("P99 (orange)") { ttft($0)?.percentiles.first { $0.rank == 99 }.map { $0.milliseconds / 1000 } },
        ], label: Quantity.time),
      CurveChart(title: "Output tokens/s", curves: [curve("served") { $0.outputThroughput }], label: Quantity.digits),
    ].map(\.markup)
  }

  private var table: Markup {
    let rows = sweep.points.sorted { $0.rate < $1.rate }.map {
      DataTable.Row(cells: Sweep.cells($0), isBest: $0.rate == sweep.result.passed)
    }
    return DataTable(head: Sweep.columns, rows: rows).markup
  }

  /// The last runs at the highest rate that passed and at the lowest that failed.
  private var knee: [Markup] {
    [sweep.result.passed, sweep.result.failed].compactMap { sweep.points(at: $0).last }.map { point in
      let word = point.rate == sweep.result.passed ? "carried" : "too much"
      return """
        <details><summary>\(Quantity.digits(point.rate)) req/s, \(word)</summary>
        \(RunSection(run: point.run).markup)</details>

        """
    }
  }
}
