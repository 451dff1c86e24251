/// The page of a comparison: the verdict, the ratios, both distributions in one chart, every round.
package struct ComparisonPage {
  private let run: ComparisonRun
  private var comparison: Comparison { run.comparison }

  package init(_ run: ComparisonRun) { self.run = run }

  package var html: String {
    let header = run.a.first?.header ?? RunHeader()
    let hasFailures = comparison.failedA + comparison.failedB > 0
    let mood = hasFailures ? RunVerdict.Mood.bad : comparison.rows.contains(where: \.isUnclear) ? .warning : .good
    return Page(
      title: "xpyd bench compare",
      body: [
        """
        <h1>xpyd bench compare: \(comparison.labelA) and \(comparison.labelB)</h1>
        <p class="what">A: \(header.target) · B: \(run.b.first?.header.target ?? "") · \(header.workload) · \
        \(header.traffic.words) · \(comparison.rounds.count) rounds</p>
        <ul class="findings">
        <li class="\(mood.rawValue)">\(comparison.verdict)</li>
        </ul>
        <h2>Ratios</h2>
        \(RatioChart(comparison: comparison).markup)\(table)\
        <h2>Latencies</h2>
        <p class="legend"><span><i class="series0"></i>A: \(comparison.labelA)</span>\
        <span><i class="series1"></i>B: \(comparison.labelB)</span></p>
        <p class="what">The share of values, of all rounds together, that is at most x.</p>
        <div class="charts">
        \(distributions)</div>
        <h2>Rounds</h2>
        \(rounds)\
        <h2>Runs</h2>
        \(details)
        """
      ]
    ).markup.text
  }

  private var table: Markup {
    DataTable(head: comparison.columns, rows: comparison.rows.map { DataTable.Row(cells: comparison.cells($0)) }).markup
  }

  private var distributions: [Markup] {
    [
      distribution("Time to first token", \.ttft), distribution("Inter-token latency", \.itl),
      distribution("End-to-end latency", \.e2el),
    ]
  }

  private func distribution(_ title: String, _ counts: KeyPath<RunCharts, MicrosecondCounts>) -> Markup {
    let series = [("A", run.a), ("B", run.b)].map { name, reports in
      DistributionChart.Series(name: name, counts: run.pooled(reports, counts))
    }
    return DistributionChart(title: title, series: series).markup
  }

  private var rounds: Markup {
    let figures = comparison.rows.map(\.figure)
    let rows = comparison.rounds.enumerated().flatMap { number, round in
      [("A", round.a), ("B", round.b)].map { label, side in
        DataTable.Row(
          cells: ["\(number + 1) \(label)", "\(side.requests)", "\(side.failed)"]
            + figures.map { side.figures[$0].map(Quantity.digits) ?? "–" })
      }
    }
    let head = ["round", "requests", "failed"] + figures.map { "\($0.name) (\($0.unit))" }
    return DataTable(head: head, rows: rows).markup
  }

  /// The last round of each side in full.
  private var details: [Markup] {
    [(comparison.labelA, run.a.last), (comparison.labelB, run.b.last)].compactMap { label, report in
      report.map {
        "<details><summary>\(label), last round</summary>\n\(RunSection(run: $0).markup)</details>\n"
      }
    }
  }
}
