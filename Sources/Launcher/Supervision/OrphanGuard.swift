import Foundation

/// Ends what a launcher leaves behind when it is killed: `xpyd` itself notices (`StopOnEndOfInput`), other programs do
/// not. A process of its own, whose standard input is a pipe that only the launcher holds open.
package enum OrphanGuard {
  /// In the environment of all processes of a deployment, with a value of its own: it outlives new groups and sessions.
  package static let variable = "XPYD_DEPLOYMENT"

  /// What children get so that they can be found.
  ///
  /// `SPT_NOENV` keeps Python's setproctitle from writing over the environment that `/proc` shows.
  static func mark(_ deployment: String) -> [String: String] { [variable: deployment, "SPT_NOENV": "1"] }

  /// Waits for the end of standard input; then ends what is left of the deployment, gracefully first.
  package static func run(deployment: String, grace: Duration) {
    // Ctrl-C is the launcher's to answer.
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
    var byte: UInt8 = 0
    while true {
      let count = read(STDIN_FILENO, &byte, 1)
      guard count > 0 || (count < 0 && errno == EINTR) else { break }
    }
    endAll(of: deployment, grace: grace)
  }

  /// Returns when no process of the deployment is left.
  static func endAll(of deployment: String, grace: Duration) {
    let deadline = ContinuousClock.now + grace
    var signalled: Set<Int32> = []
    while true {
      let left = ProcessTable.marked(variable, deployment)
      guard !left.isEmpty else { return }
      let isLate = ContinuousClock.now >= deadline
      for pid in left where isLate || signalled.insert(pid).inserted { kill(pid, isLate ? SIGKILL : SIGTERM) }
      usleep(50_000)
    }
  }
}
