import Foundation
import ModelStore
import Synchronization

/// Shows a pull on standard error: a bar that is drawn over on a terminal, a line for each tenth elsewhere.
final class ModelPullDisplay: Sendable {
  private struct State {
    var drawn: Int?
    var hasBar = false
  }

  private let state = Mutex(State())
  private let isTerminal = isatty(STDERR_FILENO) == 1

  func show(_ progress: PullProgress) {
    switch progress {
    case .started(let source): line("Fetching from \(source)")
    case .failed(let error): line("\(error)")
    case .unpacking: line("Unpacking")
    case .verifying: line("Checking the SHA-256")
    case .received(let bytes, let total): bar(bytes, of: total)
    }
  }

  /// Ends the line of the bar.
  func finish() {
    state.withLock { state in
      if state.hasBar { write("\n") }
      state = State()
    }
  }

  private func line(_ text: String) {
    finish()
    write(text + "\n")
  }

  /// Draws when a hundredth (a tenth, without a terminal) more is there; by the mebibyte (ten) if the total is unknown.
  private func bar(_ bytes: Int, of total: Int?) {
    let steps = isTerminal ? 100 : 10
    let place =
      total.map { $0 > 0 ? Int(Double(bytes) / Double($0) * Double(steps)) : steps } ?? bytes >> (isTerminal ? 20 : 23)
    state.withLock { state in
      guard state.drawn != place else { return }
      state.drawn = place
      let amount = Self.size(bytes) + (total.map { " of " + Self.size($0) } ?? "")
      guard isTerminal else { return write("  \(amount)\n") }
      state.hasBar = true
      let filled = min(total == nil ? 0 : place * 30 / steps, 30)
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: total == nil ? 0 : 30 - filled)
      write("\r\u{1B}[K\(bar) \(amount)")
    }
  }

  private func write(_ text: String) {
    FileHandle.standardError.write(Data(text.utf8))
  }

  static func size(_ bytes: Int) -> String {
    switch bytes {
    case ..<1_000: "\(bytes) B"
    case ..<1_000_000: "\(bytes / 1_000) kB"
    case ..<1_000_000_000: String(format: "%.1f MB", Double(bytes) / 1e6)
    default: String(format: "%.2f GB", Double(bytes) / 1e9)
    }
  }
}
