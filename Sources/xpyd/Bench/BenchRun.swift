import ArgumentParser
import Bench
import Foundation
import ServingAPI
import UnixSignals

/// One run as a user sees it: ready check, warm-up, progress, table, files, exit code.
struct BenchRun {
  var workload: Workload
  var target: Target
  var options: RunOptions
  var header: RunHeader
  var results: BenchResultOptions
  var warmups: Int
  var readySeconds: Double

  /// - Throws: `ExitCode` 1 if a request failed, 130 if the run was interrupted; both after the table.
  func run() async throws {
    if readySeconds > 0 {
      printNow("Waiting for \(target.url)...\n")
      try await waitUntilReady(workload, against: target, options: options, seconds: readySeconds)
    }
    if warmups > 0 {
      printNow("Warming up with \(warmups) requests...\n")
      try await warmUp(warmups, workload, against: target, options: options)
    }
    printNow("Sending \(workload.requests.count) requests to \(target.url): \(workload.description)\n")
    let rawPath = results.rawResult ?? (results.saveDetailed || results.report != nil ? temporaryPath : nil)
    defer { if results.rawResult == nil, let rawPath { try? FileManager.default.removeItem(atPath: rawPath) } }
    let (summary, wasInterrupted) = try await interruptible { try await measure(rawPath: rawPath) }
    printNow(SummaryTable(summary, header: header).text + SummaryNotes(summary, header: header).text)
    try save(summary, rawPath: rawPath)
    if let rawPath, let report = results.report {
      try ReportFile(path: report).write(RunPage([RunReport(try RecordFile(path: rawPath))]).html)
    }
    if wasInterrupted { throw ExitCode(130) }
    if summary.failed > 0, !results.allowFailures { throw ExitCode(1) }
  }

  private func measure(rawPath: String?) async throws -> RunSummary {
    var summary = RunSummaryBuilder(header)
    let raw = try rawPath.map { try RecordFileWriter(path: $0, header: header) }
    let isTerminal = isatty(STDERR_FILENO) == 1
    var progress = ProgressLine(total: workload.requests.count, isTerminal: isTerminal)
    try await benchmark(workload, against: target, options: options) { event in
      if case .record(let record) = event {
        summary.add(record)
        try raw?.append(record)
      } else {
        try raw?.flush()
      }
      if !results.disableTqdm, let text = progress.take(event) {
        FileHandle.standardError.write(Data(text.utf8))
      }
    }
    try raw?.close()
    return summary.summary()
  }

  private func save(_ summary: RunSummary, rawPath: String?) throws {
    let result = ResultJSON(summary, header: header)
    guard let path = results.resultPath(result) else { return }
    let records = results.saveDetailed ? try rawPath.map { try RecordFile(path: $0).records() } : nil
    var bytes = result.value(detailed: records).encoded
    if results.appendResult, let file = FileHandle(forWritingAtPath: path) {
      // One JSON object a line, the first without a line before it.
      if try file.seekToEnd() > 0 { bytes.insert(UInt8(ascii: "\n"), at: 0) }
      try file.write(contentsOf: Data(bytes))
      try file.close()
    } else {
      guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
        throw RecordFileError.cannotWrite(path: path)
      }
    }
    printNow("Saved \(path)\n")
  }

  private var temporaryPath: String {
    FileManager.default.temporaryDirectory.appendingPathComponent("xpyd-bench-\(UUID().uuidString).jsonl").path
  }
}

/// Writes to standard output at once: `print` would keep it back from a pipe until the end.
func printNow(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }

/// Runs `body`, and cancels it at the first Ctrl-C or SIGTERM.
func interruptible<Value: Sendable>(
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> (value: Value, wasInterrupted: Bool) {
  let work = Task { try await body() }
  let watch = Task {
    for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
      work.cancel()
      return true
    }
    return false
  }
  let result = await work.result
  watch.cancel()
  let wasInterrupted = await watch.value
  return (try result.get(), wasInterrupted)
}
