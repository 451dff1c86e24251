import ArgumentParser
import Foundation
import Launcher

/// `xpyd top`: a running deployment, live.
struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Watch a running deployment: load, KV use, latencies, transfers, errors of each worker.",
    discussion: """
      TTFT, ITL and rates are those of the last interval; GB/s is what a transfer reaches while it runs, MB/s what moved \
      in all. Where standard output is no terminal, a table is written at each interval.
      """)

  @Argument(help: "The deployment's proxy.")
  var url = "http://localhost:9000"

  @Option(help: ArgumentHelp("Between two looks.", valueName: "seconds"))
  var interval = 1.0

  @Option(help: "Tables to show before it ends (default: no end).")
  var count: Int?

  func validate() throws {
    guard (0.1...3600).contains(interval) else { throw ValidationError("--interval must be from 0.1 to 3600 seconds.") }
    guard count ?? 1 >= 1 else { throw ValidationError("--count must be at least 1.") }
  }

  func run() async throws {
    let observer = FleetObserver(url: url.hasSuffix("/") ? String(url.dropLast()) : url)
    let terminal = Terminal.standardOutput()
    var before = try await observer.snapshot()
    var shown = 0
    while count.map({ shown < $0 }) ?? true {
      try await Task.sleep(for: .seconds(interval))
      do {
        let now = try await observer.snapshot()
        terminal.paint { FleetTable(now, since: before).lines(width: $0) }
        before = now
      } catch {
        terminal.paint { _ in ["\(error); asking again"] }
      }
      shown += 1
    }
  }
}
