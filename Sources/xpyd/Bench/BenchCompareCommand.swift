import ArgumentParser
import Bench
import Foundation

extension BenchCommand {
  /// `xpyd bench compare A B`: the same work against two endpoints.
  struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare two endpoints by alternating rounds of the same work.",
      discussion: """
        In each round both get the same prompts at the same times, one after the other; who goes first alternates. The \
        verdict names no difference that is within the noise between rounds.
        """)

    @Argument(help: ArgumentHelp("The one's URL: http://HOST[:PORT][/PATH].", valueName: "a")) var urlA: String
    @Argument(help: ArgumentHelp("The other's URL.", valueName: "b")) var urlB: String
    @Option(help: "The one's name (default: its URL).") var labelA: String?
    @Option(help: "The other's name.") var labelB: String?
    @Option(help: "How often both are measured; five or more tell small differences from noise.") var rounds = 5
    @Option(
      parsing: .upToNextOption,
      help: ArgumentHelp("Compares goodput too: ttft, tpot, e2el, in milliseconds.", valueName: "metric:ms"))
    var goodput: [String] = []
    @Flag(help: "Exit with 0 even if requests failed.") var allowFailures = false

    @OptionGroup(title: "Server") var target: BenchTargetOptions
    @OptionGroup(title: "Workload") var workload: BenchWorkloadOptions
    @OptionGroup(title: "Load") var load: BenchLoadOptions
    @OptionGroup(title: "Results") var results: BenchReportOptions

    func validate() throws {
      for url in [urlA, urlB] where BaseURL(url) == nil {
        throw ValidationError("An endpoint must be http://HOST[:PORT][/PATH] or https://…, not \(url).")
      }
      guard target.baseURL == nil, target.host == "127.0.0.1", target.port == 8000 else {
        throw ValidationError("--base-url, --host and --port are for one server: compare takes two URLs.")
      }
      guard (1...1000).contains(rounds) else {
        throw ValidationError("--rounds must be from 1 to 1000, not \(rounds).")
      }
      _ = try ReportedFigures.objectives(goodput)
    }

    /// - Throws: `ExitCode` 1 if a request failed, 130 if it was interrupted; both after the result.
    func run() async throws {
      try results.prepare()
      let a = try await endpoint(urlA)
      let b = try await endpoint(urlB)
      let setup = try BenchSetup(target, workload, load, results, first: a)
      try await setup.prepare(a)
      try await setup.prepare(b)
      let (run, wasInterrupted) = try await interruptible { try await measure(a, b, setup) }
      let comparison = run.comparison
      try results.tell(text: comparison.text, json: comparison.json, html: ComparisonPage(run).html)
      if wasInterrupted { throw ExitCode(130) }
      if comparison.failedA + comparison.failedB > 0, !allowFailures { throw ExitCode(1) }
    }

    private func endpoint(_ url: String) async throws -> Target {
      var options = target
      options.baseURL = url
      return try await options.target()
    }

    private func measure(_ a: Target, _ b: Target, _ setup: BenchSetup) async throws -> ComparisonRun {
      try await ComparisonRun.run(
        labelA: labelA ?? urlA, labelB: labelB ?? urlB, rounds: rounds,
        onRun: { results.note(line($0, $1, $2)) }
      ) { round, side in
        var point = try setup.point(side == .a ? a : b, number: round)
        point.header.label = label(side)
        point.header.reported.objectives = try ReportedFigures.objectives(goodput)
        point.rawPath = results.rawPath("\(round + 1)-\(side.rawValue)")
        return try await point.measure()
      }
    }

    private func label(_ side: ComparisonRun.Side) -> String { side == .a ? labelA ?? urlA : labelB ?? urlB }

    private func line(_ round: Int, _ side: ComparisonRun.Side, _ run: RunReport) -> String {
      let cells = zip(RunOverview.columns, RunOverview.cells(run)).dropFirst().map { "\($0) \($1)" }
      return "round \(round + 1), \(label(side)): \(cells.joined(separator: ", "))"
    }
  }
}
