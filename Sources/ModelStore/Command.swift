import Foundation

/// A child process whose output goes to a file, and which must show some life.
struct Command {
  let arguments: [String]
  let environment: [String: String]
  /// Standard output and error, both.
  let log: String
  /// How long `bytes` may stay the same before the process is killed.
  let stallTimeout: Duration

  enum Failure: Error {
    case notStarted(String)
    case failed(status: Int32, lastLines: String)
    case stalled
    case cancelled
  }

  /// Runs the command to its end.
  ///
  /// - Parameter bytes: A count that grows while there is progress; asked for a few times a second.
  func run(bytes: () -> Int) async throws(Failure) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    guard FileManager.default.createFile(atPath: log, contents: nil), let output = FileHandle(forWritingAtPath: log)
    else { throw .notStarted("cannot write \(log)") }
    defer { try? output.close() }
    process.standardOutput = output
    process.standardError = output
    do { try process.run() } catch { throw .notStarted("\((error as NSError).localizedDescription)") }
    try await watch(process, bytes: bytes)
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      throw .failed(status: process.terminationStatus, lastLines: lastLines)
    }
  }

  private func watch(_ process: Process, bytes: () -> Int) async throws(Failure) {
    var last = (bytes: -1, at: ContinuousClock.now)
    while process.isRunning {
      let now = ContinuousClock.now
      let count = bytes() + (FileSystem.size(log) ?? 0)
      if count != last.bytes { last = (count, now) }
      let isStalled = now - last.at > stallTimeout
      do {
        if isStalled { throw CancellationError() }
        try await Task.sleep(for: .milliseconds(100))
      } catch {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        throw isStalled ? .stalled : .cancelled
      }
    }
  }

  private var lastLines: String {
    (FileSystem.text(log) ?? "").split(separator: "\n").suffix(3).joined(separator: " ")
  }
}
