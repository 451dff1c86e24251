import Foundation
import Synchronization

/// Where the launcher writes: lines that stay, and on a terminal a board under them that is painted over. A mutex guards
/// what is on the screen.
package final class Terminal: Sendable {
  private let painted = Mutex(0)
  private let write: @Sendable (String) -> Void
  /// nil: no terminal, and no board.
  private let width: (@Sendable () -> Int)?

  /// - Parameter width: Columns of the terminal; nil if there is none.
  package init(width: (@Sendable () -> Int)?, write: @escaping @Sendable (String) -> Void) {
    self.width = width
    self.write = write
  }

  /// Standard output, which may be a file.
  package static func standardOutput() -> Terminal {
    let columns: @Sendable () -> Int = {
      var size = winsize()
      return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 100
    }
    return Terminal(width: isatty(STDOUT_FILENO) == 1 ? columns : nil) { text in
      Swift.print(text, terminator: "")
      fflush(nil)
    }
  }

  var hasBoard: Bool { width != nil }

  func print(_ text: String) {
    painted.withLock { painted in
      write(Self.erase(painted) + text + "\n")
      painted = 0
    }
  }

  /// Paints over what was painted last; where there is no terminal, writes it below.
  ///
  /// - Parameter lines: Of at most so many characters.
  package func paint(_ lines: (_ width: Int) -> [String]) {
    let lines = lines(width?() ?? 200)
    guard hasBoard else { return write(lines.joined(separator: "\n") + "\n") }
    painted.withLock { painted in
      write(Self.erase(painted) + lines.joined(separator: "\n") + "\n")
      painted = lines.count
    }
  }

  /// Up, and clear to the end of the screen.
  private static func erase(_ lines: Int) -> String { lines == 0 ? "" : "\u{1B}[\(lines)A\u{1B}[J" }
}
