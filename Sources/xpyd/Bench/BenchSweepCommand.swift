import ArgumentParser
import Bench
import Foundation

extension BenchCommand {
  /// `xpyd bench sweep`: the highest rate at which a deployment keeps its SLO.
  struct Sweep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find the highest request rate that keeps the SLO.",
      discussion: """
        Raises the rate until less than --attainment of the requests meet --goodput, then halves the interval until it \
        is as narrow as --precision. Each point has prompts of its own; --num-prompts is the most that one sends.
        """)

    @OptionGroup(title: "Search") var search: SweepSearchOptions
    @OptionGroup(title: "Server") var target: BenchTargetOptions
    @OptionGroup(title: "Workload") var workload: BenchWorkloadOptions
    @OptionGroup(title: "Load") var load: BenchLoadOptions
    @OptionGroup(title: "Results") var results: BenchReportOptions
    @Option(help: "The deployment's name in the report.") var label: String?

    func validate() throws {
      guard load.requestRate == .infinity, load.rampUpStrategy == nil else {
        throw ValidationError("The sweep sets the rate itself: give --start-rate, --min-rate and --max-rate.")
      }
    }

    /// - Throws: `ExitCode` 1 if no rate passed, 130 if it was interrupted; both after the result.
    func run() async throws {
      try results.prepare()
      let target = try await target.target()
      let setup = try BenchSetup(self.target, workload, load, results, first: target)
      try await setup.prepare(target)
      let (sweep, _) = try await interruptible { try await measure(target, setup) }
      try results.tell(text: sweep.text, json: sweep.json, html: SweepPage(sweep).html)
      if sweep.result.end == .interrupted { throw ExitCode(130) }
      if sweep.result.passed == nil { throw ExitCode(1) }
    }

    private func measure(_ target: Target, _ setup: BenchSetup) async throws -> Bench.Sweep {
      let start = ContinuousClock.now
      var number = 0
      return try await Bench.Sweep.run(
        search.limits(mostRequests: workload.numPrompts),
        seconds: { (ContinuousClock.now - start) / .seconds(1) },
        onPoint: { results.note(Self.line($0)) }
      ) { rate, requests in
        var point = try setup.point(target, number: number, rate: rate, requests: requests)
        number += 1
        point.header.label = label
        point.header.reported.objectives = try search.objectives()
        point.rawPath = results.rawPath("\(number)-\(rate)rps")
        return try await point.measure()
      }
    }

    private static func line(_ point: Bench.Sweep.Point) -> String {
      zip(Bench.Sweep.columns, Bench.Sweep.cells(point)).map { "\($0) \($1)" }.joined(separator: ", ")
    }
  }
}

/// What `xpyd bench sweep` looks for, and where.
struct SweepSearchOptions: ParsableArguments {
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The SLO: what a good request keeps of ttft, tpot, e2el, in ms.", valueName: "metric:ms"))
  var goodput: [String]
  @Option(help: "Share of the requests that must keep it.") var attainment = 0.9
  @Option(help: "Requests/s at first.") var startRate = 1.0
  @Option(help: "Requests/s at least.") var minRate = 0.1
  @Option(help: "Requests/s at most.") var maxRate = 1000.0
  @Option(help: "How far the rate that failed may lie above the one that passed: 0.05 is 5 %.") var precision = 0.05
  @Option(help: "Seconds of arrivals at each point.") var pointSeconds = 30.0
  @Option(help: "Requests of a point at least.") var pointPrompts = 50
  @Option(help: "Seconds for all points together.") var timeBudget = 1800.0

  func validate() throws {
    guard try !objectives().isEmpty else { throw ValidationError("--goodput needs an SLO: ttft:500 tpot:50.") }
    guard minRate > 0, minRate <= startRate, startRate <= maxRate, maxRate.isFinite else {
      throw ValidationError("Rates must be 0 < --min-rate ≤ --start-rate ≤ --max-rate.")
    }
    guard attainment > 0, attainment <= 1 else {
      throw ValidationError("--attainment must be above 0 and at most 1, not \(attainment).")
    }
    guard (0.001...1).contains(precision) else {
      throw ValidationError("--precision must be from 0.001 to 1, not \(precision).")
    }
    guard (0.1...86_400).contains(pointSeconds), (1...1_000_000).contains(pointPrompts) else {
      throw ValidationError("--point-seconds must be from 0.1 to 86400, and --point-prompts from 1 to 1000000.")
    }
    guard timeBudget > 0 else { throw ValidationError("--time-budget must be above 0, not \(timeBudget).") }
  }

  func objectives() throws -> [ServiceObjective] { try ReportedFigures.objectives(goodput) }

  func limits(mostRequests: Int) -> RateSearch.Limits {
    var limits = RateSearch.Limits()
    limits.start = startRate
    limits.lowest = minRate
    limits.highest = maxRate
    limits.precision = precision
    limits.attainment = attainment
    limits.pointSeconds = pointSeconds
    limits.leastRequests = pointPrompts
    limits.mostRequests = mostRequests
    limits.timeBudget = timeBudget
    return limits
  }
}
