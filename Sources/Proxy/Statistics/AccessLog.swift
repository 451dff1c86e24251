import Glibc
import HTTPServer
import NIOCore
import NIOPosix
import ServingAPI
import Synchronization

/// One line for each request that has ended. Lines of all event loops gather in memory and leave together, so that no
/// event loop waits for a disk or a terminal. A `Mutex` guards the lines; one thread writes them.
final class AccessLog: Sendable {
  private struct State {
    var lines: [UInt8] = []
    var isWriting = false
    var dropped = 0
  }

  private static let mostBytes = 4 << 20
  /// How long the log's reader may stand still before what waits for it is dropped, in milliseconds.
  private static let patience: Int32 = 200
  /// A pipe that is ready takes this much at once.
  private static let mostAtOnce = 4096
  private static let delay = TimeAmount.milliseconds(50)

  private let format: AccessLogSettings.Format
  private let descriptor: Int32
  private let writer = NIOThreadPool(numberOfThreads: 1)
  private let state = Mutex(State())

  /// - Throws: `AccessLogError` if the file cannot be opened for appending.
  init(_ settings: AccessLogSettings) throws(AccessLogError) {
    format = settings.format
    if let path = settings.path {
      descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
      guard descriptor >= 0 else { throw .cannotOpen(path, reason: String(cString: strerror(errno))) }
    } else {
      descriptor = dup(STDERR_FILENO)
    }
    writer.start()
  }

  deinit { close(descriptor) }

  func show(in registry: PrometheusRegistry) {
    registry.counter(
      "xpyd:proxy_access_log_lines_dropped_total", help: "Lines that were lost because nobody read the log."
    ) { [weak self] in Double(self?.state.withLock { $0.dropped } ?? 0) }
  }

  func add(_ entry: AccessLogEntry, eventLoop: any EventLoop) {
    let wasEmpty = state.withLock { state in
      guard state.lines.count < Self.mostBytes else {
        state.dropped += 1
        return false
      }
      entry.write(format, into: &state.lines)
      defer { state.isWriting = true }
      return !state.isWriting
    }
    guard wasEmpty else { return }
    eventLoop.scheduleTask(in: Self.delay) { [self] in writer.submit { _ in self.flush() } }
  }

  /// Writes what is left. Blocks no event loop.
  func stop() async {
    writer.submit { _ in self.flush() }
    try? await writer.shutdownGracefully()
  }

  private func flush() {
    let lines = state.withLock { state in
      state.isWriting = false
      let lines = state.lines
      state.lines = []
      return lines
    }
    let left = lines.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty, let count = write(UnsafeRawBufferPointer(rebasing: rest.prefix(Self.mostAtOnce))) {
        rest = rest.dropFirst(count)
      }
      return rest.count { $0 == UInt8(ascii: "\n") }
    }
    if left > 0 { state.withLock { $0.dropped += left } }
  }

  /// - Returns: How many bytes went; nil if none can.
  private func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
    while true {
      var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let isReady = poll(&ready, 1, Self.patience)
      if isReady < 0, errno == EINTR { continue }
      guard isReady == 1 else { return nil }
      let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      if count < 0, errno == EINTR { continue }
      return count > 0 ? count : nil
    }
  }
}

package struct AccessLogSettings: Sendable {
  package enum Format: String, Sendable, CaseIterable {
    /// As uvicorn's, with what the timeline tells behind.
    case text
    /// One JSON object a line.
    case json
  }

  package var format = Format.text
  /// nil: standard error.
  package var path: String?

  package init() {}
}

package enum AccessLogError: Error, CustomStringConvertible {
  case cannotOpen(String, reason: String)

  package var description: String {
    switch self {
    case .cannotOpen(let path, let reason):
      "The access log \(path) cannot be opened: \(reason). Choose another file, or - for standard error."
    }
  }
}
