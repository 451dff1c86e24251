import Synchronization

/// Ends a pull from another thread: its socket fails at once, and the copying loop sees the reason.
final class PullCancellation: Sendable {
  private struct State: Sendable {
    var reason: KVTransferError?
    var socket: Socket?
    var abandon: (@Sendable (KVTransferError) -> Void)?
  }

  private let state = Mutex(State())

  /// - Parameter reason: What the pull will throw; the first call decides.
  func cancel(_ reason: KVTransferError) {
    let (abandon, reason) = state.withLock { state in
      let reason = state.reason ?? reason
      state.reason = reason
      state.socket?.interrupt()
      return (state.abandon, reason)
    }
    abandon?(reason)
  }

  /// - Parameter abandon: Called on cancellation, perhaps now and perhaps more than once; takes the pull out of the
  ///   queue if it is still there.
  func whileQueued(_ abandon: @escaping @Sendable (KVTransferError) -> Void) {
    let reason = state.withLock { state in
      state.abandon = abandon
      return state.reason
    }
    if let reason { abandon(reason) }
  }

  var reason: KVTransferError? { state.withLock { $0.reason } }

  /// Names the socket on which the pull now waits; the one before is no longer its own.
  func attach(_ socket: Socket) throws(KVTransferError) {
    let reason = state.withLock { state in
      state.socket = socket
      return state.reason
    }
    if let reason { throw reason }
  }

  /// Lets the socket go to the next pull.
  /// - Returns: False if it was interrupted, and so is of no use.
  func detach() -> Bool {
    state.withLock { state in
      state.socket = nil
      return state.reason == nil
    }
  }

  func check() throws(KVTransferError) {
    if let reason { throw reason }
  }
}
