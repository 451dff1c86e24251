import Bench
import Foundation

/// One run of many: a point of a sweep, or one side's part of a round.
struct BenchPoint {
  var workload: Workload
  var target: Target
  var options: RunOptions
  var header: RunHeader
  /// Where its raw results go, if anywhere.
  var rawPath: String?
  var showsProgress: Bool

  /// - Returns: nil if the task was cancelled.
  func measure() async throws -> RunReport? {
    var records: [RequestRecord] = []
    let raw = try rawPath.map { try RecordFileWriter(path: $0, header: header) }
    var progress = ProgressLine(total: workload.requests.count, isTerminal: isatty(STDERR_FILENO) == 1)
    try await benchmark(workload, against: target, options: options) { event in
      if case .record(let record) = event {
        records.append(record)
        try raw?.append(record)
      }
      if showsProgress, let text = progress.take(event) { FileHandle.standardError.write(Data(text.utf8)) }
    }
    try raw?.close()
    return Task.isCancelled ? nil : RunReport(header: header, records: records)
  }
}
