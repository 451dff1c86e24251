import Foundation
import Synchronization
import TestSupport
import Testing

import Launcher

/// Runs the launcher over children that are not xpyd: what it must see is their exit, their log and their silence.
struct LauncherTests {
  private func launch(executable: String, readyTimeout: Duration) async throws -> (exitCode: Int32, printed: String) {
    let logs = FileManager.default.temporaryDirectory.appendingPathComponent("launcher-\(UUID())").path
    try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: logs) }
    var options = LaunchPlan.Options(
      topology: try Topology("1p1d"), modelPath: "no.gguf", servedModelNames: ["m"], threads: 1)
    let ports = (0..<3).map { _ in RefusingPort() }
    options.decoderPort = ports[0].number
    options.prefillerPort = ports[1].number
    options.proxyPort = ports[2].number
    let printed = Mutex("")
    let launcher = Launcher(
      .init(
        plan: LaunchPlan(options), executable: executable, host: "127.0.0.1", logDirectory: logs,
        readyTimeout: readyTimeout, grace: .seconds(5))
    ) { line in printed.withLock { $0 += line + "\n" } }
    let exitCode = await launcher.run()
    withExtendedLifetime(ports) {}
    return (exitCode, printed.withLock { $0 })
  }

  @Test func `A child that ends at once is shown with its log, and the exit code is 1`() async throws {
    // `ls serve …` complains about its arguments and ends with 2.
    let (exitCode, printed) = try await launch(executable: "/bin/ls", readyTimeout: .seconds(30))
    #expect(exitCode == 1)
    #expect(printed.contains("error: decoder ended unexpectedly. The end of decoder.log:"))
    #expect(printed.contains("  | /bin/ls: "))
    #expect(!printed.contains("starting prefiller1"))
  }

  @Test func `A child that never answers is named when its time is up, and stopped`() async throws {
    let script = FileManager.default.temporaryDirectory.appendingPathComponent("silent-\(UUID()).sh").path
    // Reads its standard input, which the launcher keeps open.
    try "#!/bin/sh\nexec cat\n".write(toFile: script, atomically: true, encoding: .utf8)
    chmod(script, 0o755)
    defer { try? FileManager.default.removeItem(atPath: script) }
    let (exitCode, printed) = try await launch(executable: script, readyTimeout: .milliseconds(50))
    #expect(exitCode == 1)
    #expect(printed.contains("error: decoder did not answer /health in time"))
    #expect(printed.contains("decoder was ended by signal 15"))
  }

  @Test func `A program that is not there is an error`() async throws {
    let (exitCode, printed) = try await launch(executable: "/no/such/xpyd", readyTimeout: .seconds(30))
    #expect(exitCode == 1)
    #expect(printed.contains("error: cannot start decoder"))
  }
}
