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
  }

  func reported() throws -> ReportedFigures {
    var figures = ReportedFigures()
    figures.metrics = try ReportedFigures.metrics(percentileMetrics)
    figures.percentiles = try ReportedFigures.percentiles(metricPercentiles)
    figures.objectives = try ReportedFigures.objectives(goodput)
    return figures
  }

  /// Where the JSON goes; nil if none is wanted. Makes the folder.
  func resultPath(_ result: ResultJSON) throws -> String? {
    guard saveResult || appendResult else { return nil }
    let name = resultFilename ?? result.fileName
    guard let resultDir else { return name }
    try FileManager.default.createDirectory(atPath: resultDir, withIntermediateDirectories: true)
    return "\(resultDir)/\(name)"
  }
}
