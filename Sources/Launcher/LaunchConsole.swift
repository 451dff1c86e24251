import Foundation
import Subprocess

/// What `xpyd up` tells the person who typed it.
struct LaunchConsole: Sendable {
  let plan: LaunchPlan
  let host: String
  let print: @Sendable (String) -> Void

  func started(_ child: LaunchPlan.Child, pid: Int32) {
    print("starting \(child.name) on port \(child.port) (pid \(pid), log \(child.logFile))")
  }

  func up() {
    let rows = plan.stages.flatMap { $0 }.map { child in
      "  \(child.name.padding(toLength: 12, withPad: " ", startingAt: 0))http://\(host):\(child.port)   \(child.logFile)"
    }
    let body =
      #"{"model": "\#(plan.modelName)", "prompt": "The future of AI is", "max_tokens": 50, "temperature": 0.7}"#
    print(
      """

      All servers are up:
      \(rows.joined(separator: "\n"))

      Try it:
        curl -X POST http://localhost:\(plan.proxy.port)/v1/completions \\
          -H "Content-Type: application/json" \\
          -d '\(body)'

      Press Ctrl-C to stop.
      """)
  }

  func portsTaken(_ children: [LaunchPlan.Child]) {
    for child in children {
      print(
        "error: port \(child.port) on \(host), wanted for \(child.name), is in use. Stop what listens there, or choose other ports (xpyd up --help)."
      )
    }
  }

  func couldNotStart(_ child: LaunchPlan.Child, _ error: any Error) {
    print("error: cannot start \(child.name): \(error)")
  }

  func exited(_ child: LaunchPlan.Child, _ status: Result<TerminationStatus, any Error>) {
    switch status {
    case .success(.exited(let code)): print("\(child.name) stopped (exit code \(code))")
    case .success(.signaled(let signal)): print("\(child.name) was ended by signal \(signal)")
    case .failure(let error): print("\(child.name): \(error)")
    }
  }

  func failed(_ failure: LaunchSequence.Failure, children: [LaunchPlan.Child], logDirectory: String) {
    let (indices, what) =
      switch failure {
      case .died(let index): ([index], "ended unexpectedly")
      case .notReady(let indices): (indices, "did not answer /health in time (--ready-timeout)")
      }
    for child in indices.map({ children[$0] }) {
      print("error: \(child.name) \(what). The end of \(child.logFile):")
      for line in LogTail.lines(of: "\(logDirectory)/\(child.logFile)") { print("  | \(line)") }
    }
  }

  func finished(exitCode: Int32) { print("xpyd up: all stopped, exit code \(exitCode)") }
}
