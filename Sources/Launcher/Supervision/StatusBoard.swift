import Foundation

/// The table of a deployment's processes that is shown while they start, and on a terminal as long as they run.
struct StatusBoard: Equatable, Sendable {
  struct Row: Equatable, Sendable {
    var name: String
    var state: State
    var host: String
    var port: Int
    var pid: Int32?
    var residentBytes: Int?
    var uptime: Duration?
    var lastLine: String?
  }

  enum State: Equatable, Sendable {
    case waiting
    /// What `/health` said last.
    case starting(HealthProbe.Answer?)
    case ready
    case restarting
    case ended

    var text: String {
      switch self {
      case .waiting: "waiting"
      case .starting(.status(let code)): "starting (answers \(code))"
      case .starting: "starting"
      case .ready: "ready"
      case .restarting: "restarting"
      case .ended: "ended"
      }
    }
  }

  var rows: [Row]

  /// - Parameter width: Lines are cut there.
  func lines(width: Int) -> [String] {
    let table = [["", "state", "port", "pid", "memory", "up", "last line of its log"]] + rows.map(Self.cells)
    let widths = (0..<6).map { column in table.map { $0[column].count }.max() ?? 0 }
    return table.map { cells in
      let padded = zip(cells, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
      return String("  \((padded + [cells[6]]).joined(separator: "  "))".prefix(width))
    }
  }

  private static func cells(_ row: Row) -> [String] {
    [
      row.name, row.state.text, "\(row.port)", row.pid.map { "\($0)" } ?? "-",
      row.residentBytes.map { "\($0 >> 20) MiB" } ?? "-", row.uptime.map(clock) ?? "-",
      row.lastLine.map { String($0.filter { !$0.isNewline && $0 != "\t" }) } ?? "",
    ]
  }

  /// `12 s`, `3:07`, `2:03:07`
  static func clock(_ time: Duration) -> String {
    let seconds = max(0, Int(time.components.seconds))
    guard seconds >= 60 else { return "\(seconds) s" }
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(seconds % 60))" : "\(minutes):\(two(seconds % 60))"
  }
}
