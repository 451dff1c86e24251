import ArgumentParser
import Bench
import Foundation

extension BenchCommand {
  /// `xpyd bench report RAW…`: table, JSON and page again from raw results.
  struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make table, JSON and page again from raw results.",
      discussion: """
        Figures are those that the run told, unless the flags ask for others. Several files are also set beside each \
        other in one Markdown table.
        """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json, markdown }

    @Argument(help: "Files that --raw-result or --raw-dir wrote.") var raw: [String]
    @Option(help: "text: tables; json: one object a line; markdown: one row a file.") var output = Format.text
    @Option(help: ArgumentHelp("Write a self-contained HTML page.", valueName: "file")) var report: String?
    @Option(help: "Latencies to tell, instead of the run's.") var percentileMetrics: String?
    @Option(help: "Percentiles of each, instead of the run's.") var metricPercentiles: String?
    @Option(
      parsing: .upToNextOption,
      help: ArgumentHelp("What a good request keeps, instead of the run's SLO.", valueName: "metric:ms"))
    var goodput: [String] = []

    func validate() throws {
      var figures = ReportedFigures()
      try change(&figures)
    }

    func run() throws {
      let runs = try raw.map { path in
        var header = try RecordFile(path: path).header
        try change(&header.reported)
        return try RunReport(try RecordFile(path: path)) { $0 = header }
      }
      printNow(text(runs))
      if let report { try ReportFile(path: report).write(RunPage(runs).html) }
    }

    private func change(_ figures: inout ReportedFigures) throws {
      if let percentileMetrics { figures.metrics = try ReportedFigures.metrics(percentileMetrics) }
      if let metricPercentiles { figures.percentiles = try ReportedFigures.percentiles(metricPercentiles) }
      if !goodput.isEmpty { figures.objectives = try ReportedFigures.objectives(goodput) }
    }

    private func text(_ runs: [RunReport]) -> String {
      switch output {
      case .markdown: return RunOverview(runs).text
      case .json:
        return runs.map { run in
          String(decoding: ResultJSON(run.summary, header: run.header).value().encoded, as: UTF8.self) + "\n"
        }.joined()
      case .text:
        let tables = runs.map { run in
          SummaryTable(run.summary, header: run.header).text + SummaryNotes(run.summary, header: run.header).text
        }
        return tables.joined(separator: "\n") + (runs.count > 1 ? "\n" + RunOverview(runs).text : "")
      }
    }
  }
}
