import Foundation
import Synchronization

/// One process's log file: appended to, renamed to `….1`, `….2` when it is large. The end of it stays in memory, so that it
/// can be shown when the disk is full. A mutex guards it: its process's reader appends, the launcher looks.
package final class RotatingLog: Sendable {
  package struct Limits: Sendable {
    package var maxBytes: Int
    /// Renamed files that are kept; 0: a large file is emptied.
    package var keep: Int

    package init(maxBytes: Int, keep: Int) {
      self.maxBytes = maxBytes
      self.keep = keep
    }
  }

  private struct State {
    var descriptor: Int32 = -1
    var size = 0
    var fault: Int32?
    /// The last `tailBytes` at least, twice as much at most.
    var tail: [UInt8] = []
  }

  private static let tailBytes = 16_384
  package let path: String
  private let limits: Limits
  private let state: Mutex<State>
  private let onFault: @Sendable (RotatingLog, String) -> Void

  /// The file is emptied at the first line; that it cannot be opened is a fault like any other.
  ///
  /// - Parameter onFault: Called once when writing begins to fail, on the reader's thread, with the system's words.
  package init(path: String, limits: Limits, onFault: @escaping @Sendable (RotatingLog, String) -> Void) {
    self.path = path
    self.limits = limits
    self.onFault = onFault
    state = Mutex(State())
  }

  deinit {
    state.withLock { state in
      if state.descriptor >= 0 { close(state.descriptor) }
    }
  }

  /// Writes what it can: a process never waits for its log, and what cannot be written is dropped.
  package func append(_ bytes: some Collection<UInt8>) {
    let began = state.withLock { state in
      state.tail.append(contentsOf: bytes)
      if state.tail.count > 2 * Self.tailBytes { state.tail.removeFirst(state.tail.count - Self.tailBytes) }
      if state.size > 0, state.size + bytes.count > limits.maxBytes { rotate(&state) }
      let fault = write(Array(bytes), &state)
      defer { state.fault = fault }
      return state.fault == nil ? fault : nil
    }
    if let began { onFault(self, String(cString: strerror(began))) }
  }

  /// The last lines, without empty ones.
  package func lastLines(_ count: Int) -> [String] {
    let text = state.withLock { String(decoding: $0.tail.suffix(Self.tailBytes), as: UTF8.self) }
    return text.split { $0.isNewline }.suffix(count).map { line in String(line.filter { $0 != "\u{1B}" }) }
  }

  private func write(_ bytes: [UInt8], _ state: inout State) -> Int32? {
    if state.descriptor < 0 { state.descriptor = Self.open(path) }
    guard state.descriptor >= 0 else { return errno }
    var offset = 0
    while offset < bytes.count {
      let count = bytes[offset...].withUnsafeBytes { Glibc.write(state.descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return count < 0 ? errno : ENOSPC }
      offset += count
      state.size += count
    }
    return nil
  }

  private func rotate(_ state: inout State) {
    for number in stride(from: limits.keep, to: 0, by: -1) {
      rename(number == 1 ? path : "\(path).\(number - 1)", "\(path).\(number)")
    }
    close(state.descriptor)
    state.descriptor = Self.open(path)
    state.size = 0
  }

  private static func open(_ path: String) -> Int32 {
    Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
  }
}
