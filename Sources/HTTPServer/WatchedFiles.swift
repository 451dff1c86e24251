import Glibc
import Synchronization

/// A value that is made of files, and made anew when one of them has changed: a certificate, a list of keys.
/// What is half written or wrong is an error, and the value before it stays. A `Mutex` guards both.
package final class WatchedFiles<Value: Sendable>: Sendable {
  private struct State {
    var stamps: [FileStamp?]
    var value: Value
  }

  private let paths: [String]
  private let load: @Sendable () throws -> Value
  private let state: Mutex<State>

  /// - Throws: What `load` throws.
  package init(_ paths: [String], load: @escaping @Sendable () throws -> Value) throws {
    self.paths = paths
    self.load = load
    // Stamps first: a change while the files are read is seen by the next look.
    let stamps = paths.map { FileStamp(path: $0) }
    state = Mutex(State(stamps: stamps, value: try load()))
  }

  package var value: Value { state.withLock { $0.value } }

  /// Blocks for as long as the files take to read; not for an event loop.
  ///
  /// - Returns: Whether the value was made anew.
  /// - Throws: What `load` throws, once for each change of the files.
  @discardableResult
  package func refresh() throws -> Bool {
    let stamps = paths.map { FileStamp(path: $0) }
    guard state.withLock({ $0.stamps != stamps }) else { return false }
    state.withLock { $0.stamps = stamps }
    let value = try load()
    state.withLock { $0.value = value }
    return true
  }
}

/// Tells one state of a file from another, whether it was written to or replaced.
private struct FileStamp: Equatable {
  var device: UInt
  var inode: UInt
  var size: Int
  var seconds: Int
  var nanoseconds: Int

  /// nil if there is no such file. A link is followed: that is how secrets are mounted and changed.
  init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}
