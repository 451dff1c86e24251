import Foundation

/// What `xpyd up` tells the person who typed it.
struct LaunchConsole: Sendable {
  let plan: LaunchPlan
  let terminal: Terminal

  private func print(_ text: String) { terminal.print(text) }

  func started(_ child: LaunchPlan.Child, pid: Int32, again: Bool) {
    print("starting \(child.name)\(again ? " again" : "") on port \(child.port) (pid \(pid), log \(child.logFile))")
  }

  func awaits(_ child: LaunchPlan.Child) {
    print("awaiting \(child.name) at \(child.host):\(child.port), which is not of this machine")
  }

  func up() {
    let rows = plan.stages.flatMap { $0 }.map { child in
      "  \(child.name.padding(toLength: 12, withPad: " ", startingAt: 0))http://\(child.host):\(child.port)   "
        + (child.command == nil ? "(not ours)" : child.logFile)
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

  func recovered(_ child: LaunchPlan.Child) { print("\(child.name) is ready again") }

  func stillStarting(_ child: LaunchPlan.Child, _ row: StatusBoard.Row) {
    print(
      "waiting for \(child.name): \(row.state.text) for \(row.uptime.map(StatusBoard.clock) ?? "0 s")"
        + (row.residentBytes.map { ", \($0 >> 20) MiB" } ?? "") + (row.lastLine.map { ", last line: \($0)" } ?? ""))
  }

  func portTaken(_ port: Int, _ child: LaunchPlan.Child, by holder: (pid: Int32, command: String)?) {
    let who = holder.map { " by pid \($0.pid) (\($0.command))" } ?? ""
    print(
      """
      error: port \(port) on \(child.host), wanted for \(child.name), is in use\(who).
        Stop what listens there\(holder.map { ": kill \($0.pid)" } ?? ""), or choose other ports (xpyd up --help).
      """)
  }

  func couldNotStart(_ child: LaunchPlan.Child, _ error: any Error) {
    print(
      """
      error: cannot start \(child.name): \(error)
        The program is \(child.command?.executable ?? "not ours"): check that it is there and may be run.
      """)
  }

  func exited(_ child: LaunchPlan.Child, _ end: Diagnosis.End, afterGrace grace: Duration?) {
    let late = grace.map { " (it did not stop within \($0))" } ?? ""
    switch end {
    case .exited(let code): print("\(child.name) stopped (exit code \(code))")
    case .signalled(let signal): print("\(child.name) was ended by signal \(signal)\(late)")
    case .silent: break
    }
  }

  func logFault(_ path: String, _ reason: String) {
    print(
      """
      error: cannot write \(path): \(reason).
        The process goes on, but what it logs is dropped until writing works again: make room, or mend the permissions.
      """)
  }

  func died(_ child: LaunchPlan.Child, _ end: Diagnosis.End, log: [String]) {
    failed(child, "ended unexpectedly", end, log: log)
  }

  func notReady(_ child: LaunchPlan.Child, _ answer: HealthProbe.Answer?, after limit: Duration, log: [String]) {
    failed(child, "did not answer /health in time (--ready-timeout, \(limit))", .silent(answer), log: log)
  }

  func restarts(_ child: LaunchPlan.Child, after pause: Duration, attempt: Int, of limit: Int) {
    print("  restart \(attempt) of \(limit) in \(pause)")
  }

  func crashLoop(_ child: LaunchPlan.Child, deaths: Int) {
    print(
      """
      error: \(child.name) has died \(deaths) times in a row (--max-restarts) and is given up.
        The last cause is above; the deployment goes on without it.
      """)
  }

  func roleIsEmpty(_ role: Deployment.Role?) {
    print("error: there is no \(role?.rawValue ?? "proxy") left: everything is stopped")
  }

  func finished(exitCode: Int32) { print("xpyd up: all stopped, exit code \(exitCode)") }

  private func failed(_ child: LaunchPlan.Child, _ what: String, _ end: Diagnosis.End, log: [String]) {
    let diagnosis = Diagnosis(end, log: log)
    let last = log.isEmpty ? "  | (it is empty)" : log.map { "  | \($0)" }.joined(separator: "\n")
    let story = child.command == nil ? "" : "\n  The end of \(child.logFile):\n\(last)"
    print(
      """
      error: \(child.name) \(what).
        Cause: \(diagnosis.cause).
        Remedy: \(diagnosis.remedy).\(story)
      """)
  }
}
