import ArgumentParser
import Bench
import Foundation

/// What `xpyd bench` tells of a run, and where it is kept.
struct BenchResultOptions: ParsableArguments {
  @Option(help: "Latencies to tell: ttft, tpot, itl, e2el, client_queue_time, e2el_including_client_queue.")
  var percentileMetrics = "ttft,tpot,itl"
  @Option(help: "Percentiles of each.") var metricPercentiles = "99"
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("What a good request keeps: ttft, tpot, e2el, in milliseconds.", valueName: "metric:ms"))
  var goodput: [String] = []
  @Flag(help: "Save the figures as JSON.") var saveResult = false
  @Flag(help: "… with those of each request.") var saveDetailed = false
  @Flag(help: "… behind those that the file has already.") var appendResult = false
  @Option(help: "Folder of the JSON file.") var resultDir: String?
  @Option(help: "Name of the JSON file.") var resultFilename: String?
  @Option(help: "File for the raw results, a JSON line for each request.") var rawResult: String?
  @Option(help: ArgumentHelp("Write a self-contained HTML page.", valueName: "file")) var report: String?
  @Option(help: "What the JSON file's name begins with (default: --backend).") var label: String?
  @Option(parsing: .upToNextOption, help: ArgumentHelp("Kept with the results.", valueName: "key=value"))
  var metadata: [String] = []
  @Flag(help: "Show no progress.") var disableTqdm = false
  @Flag(help: "Exit with 0 even if requests failed.") var allowFailures = false

  func validate() throws {
    _ = try reported()
    _ = try keyValues(metadata, flag: "--metadata")
    let flags = [
      ("--save-detailed", saveDetailed), ("--result-dir", resultDir != nil),
      ("--result-filename", resultFilename != nil),
    ]
    for (flag, isGiven) in flags where isGiven && !savesJSON {
      throw ValidationError("\(flag) needs --save-result or --append-result.")
    }
  }

  private var savesJSON: Bool { saveResult || appendResult }

  /// Makes the folder, and fails now rather than after an hour if nothing can be written.
  func prepare() throws {
    try report.map { try ReportFile(path: $0).prepare() }
    guard savesJSON else { return }
    let folder = resultDir ?? "."
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    guard FileManager.default.isWritableFile(atPath: folder) else { throw RecordFileError.cannotWrite(path: folder) }
  }

  func reported() throws -> ReportedFigures {
    var figures = ReportedFigures()
    figures.metrics = try ReportedFigures.metrics(percentileMetrics)
    figures.percentiles = try ReportedFigures.percentiles(metricPercentiles)
    figures.objectives = try ReportedFigures.objectives(goodput)
    return figures
  }

  /// Where the JSON goes; nil if none is wanted.
  func resultPath(_ result: ResultJSON) -> String? {
    guard savesJSON else { return nil }
    let name = resultFilename ?? result.fileName
    return resultDir.map { "\($0)/\(name)" } ?? name
  }
}
