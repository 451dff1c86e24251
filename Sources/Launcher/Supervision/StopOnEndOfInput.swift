import Foundation

/// Lets a process that a launcher started end when the launcher is gone, even by `kill -9`.
package enum StopOnEndOfInput {
  /// Set to `1` in the environment of the launcher's children.
  static let variable = "XPYD_STOP_ON_END_OF_INPUT"

  /// If a launcher started this process, sends SIGTERM to it when standard input ends; else does nothing.
  package static func watchIfAsked() {
    guard ProcessInfo.processInfo.environment[variable] == "1" else { return }
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while true {
        let count = read(STDIN_FILENO, &byte, 1)
        if count > 0 || (count < 0 && errno == EINTR) { continue }
        break
      }
      kill(getpid(), SIGTERM)
    }
  }
}
