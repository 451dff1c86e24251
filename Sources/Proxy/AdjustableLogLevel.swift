import Logging
import Synchronization

/// A log level that can be changed while the proxy runs. A `Mutex` guards it.
package final class AdjustableLogLevel: Sendable {
  private let level: Mutex<Logger.Level>

  package init(_ level: Logger.Level) { self.level = Mutex(level) }

  package var current: Logger.Level { level.withLock { $0 } }

  /// - Returns: Whether there is a level of this name.
  func set(_ name: String) -> Bool {
    guard let new = Logger.Level(rawValue: name) else { return false }
    level.withLock { $0 = new }
    return true
  }

  /// A logger that heeds the level of now.
  package func logger(label: String) -> Logger {
    Logger(label: label) { AdjustableLogHandler(handler: StreamLogHandler.standardError(label: $0), adjustable: self) }
  }
}

private struct AdjustableLogHandler: LogHandler {
  var handler: StreamLogHandler
  let adjustable: AdjustableLogLevel

  init(handler: StreamLogHandler, adjustable: AdjustableLogLevel) {
    self.handler = handler
    self.adjustable = adjustable
    self.handler.logLevel = .trace
  }

  var logLevel: Logger.Level {
    get { adjustable.current }
    set { _ = adjustable.set(newValue.rawValue) }
  }

  var metadata: Logger.Metadata {
    get { handler.metadata }
    set { handler.metadata = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { handler[metadataKey: key] }
    set { handler[metadataKey: key] = newValue }
  }

  func log(event: LogEvent) { handler.log(event: event) }
}
