import Synchronization

/// Lets a read put blocks into the engine's pool until it is closed: by the read's end, or by whoever does not wait any longer.
///
/// Once closed, nothing is written: the blocks can be used for something else, whatever the disk still does.
final class LoadGate: Sendable {
  /// Blocks that are in; nil: closed.
  private let loaded = Mutex<Int?>(0)

  var isOpen: Bool { loaded.withLock { $0 != nil } }

  /// Runs `copy`, which puts the next block in, if the gate is open.
  func pass(_ copy: () -> Void) -> Bool {
    loaded.withLock { loaded in
      guard let count = loaded else { return false }
      copy()
      loaded = count + 1
      return true
    }
  }

  /// - Returns: How many blocks are in; nil if it was closed before.
  func close() -> Int? {
    loaded.withLock { loaded in
      defer { loaded = nil }
      return loaded
    }
  }
}
