import ArgumentParser
import Bench
import Foundation
import ServingAPI

/// What a sweep or a comparison leaves behind.
struct BenchReportOptions: ParsableArguments {
  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  @Option(help: "text or json.") var output = Format.text
  @Option(help: ArgumentHelp("Write a self-contained HTML page.", valueName: "file")) var report: String?
  @Option(help: ArgumentHelp("Folder for the raw results of each run.", valueName: "folder")) var rawDir: String?
  @Option(parsing: .upToNextOption, help: ArgumentHelp("Kept with the results.", valueName: "key=value"))
  var metadata: [String] = []
  @Flag(help: "Show no progress.") var disableTqdm = false

  func validate() throws { _ = try keyValues(metadata, flag: "--metadata") }

  /// Makes the folder, and fails now rather than after an hour if nothing can be written.
  func prepare() throws {
    try report.map { try ReportFile(path: $0).prepare() }
    if let rawDir { try FileManager.default.createDirectory(atPath: rawDir, withIntermediateDirectories: true) }
  }

  /// - Parameter name: Of the run: `03-8rps`.
  func rawPath(_ name: String) -> String? { rawDir.map { "\($0)/\(name).jsonl" } }

  /// Prints the result and writes the page.
  func tell(text: String, json: BodyValue, html: @autoclosure () -> String) throws {
    printNow(output == .text ? text : String(decoding: json.encoded, as: UTF8.self) + "\n")
    if let report { try ReportFile(path: report).write(html()) }
  }

  /// A line on standard error: standard output is for the result.
  func note(_ line: String) {
    if !disableTqdm { FileHandle.standardError.write(Data((line + "\n").utf8)) }
  }
}

/// `--report`'s page.
struct ReportFile {
  let path: String

  /// Fails now rather than after the run, if nothing can be written there.
  func prepare() throws {
    guard FileManager.default.fileExists(atPath: path) else { return try write("") }
    guard FileManager.default.isWritableFile(atPath: path) else { throw RecordFileError.cannotWrite(path: path) }
  }

  func write(_ html: String) throws {
    guard FileManager.default.createFile(atPath: path, contents: Data(html.utf8)) else {
      throw RecordFileError.cannotWrite(path: path)
    }
  }
}
