import NIOCore
import Synchronization

/// Which transfers the prefillers have told to be complete. Only those that a request waits for are kept: what comes for
/// others is dropped. A `Mutex` guards them; who waits is told on its own event loop.
final class TransferNotices: Sendable {
  private struct Transfer {
    var missing: Int
    var waiter: (eventLoop: any EventLoop, body: @Sendable () -> Void)?
  }

  private let transfers = Mutex<[String: Transfer]>([:])

  /// To be called before the prefiller is asked: its notices may come before its answer.
  func expect(_ count: Int, of id: String) { transfers.withLock { $0[id] = Transfer(missing: count) } }

  func came(_ notice: TransferNotice) {
    let waiter = transfers.withLock { transfers -> (eventLoop: any EventLoop, body: @Sendable () -> Void)? in
      guard let transfer = transfers[notice.requestID], transfer.missing > 0 else { return nil }
      transfers[notice.requestID]?.missing -= 1
      return transfer.missing == 1 ? transfer.waiter : nil
    }
    if let (eventLoop, body) = waiter { eventLoop.execute(body) }
  }

  /// - Parameter body: Called later, once, if not all notices are there.
  /// - Returns: Whether they are.
  func areComplete(_ id: String, on eventLoop: any EventLoop, else body: @escaping @Sendable () -> Void) -> Bool {
    transfers.withLock { transfers in
      guard let missing = transfers[id]?.missing, missing > 0 else { return true }
      transfers[id]?.waiter = (eventLoop, body)
      return false
    }
  }

  /// Nobody waits any more.
  func forget(_ id: String) { transfers.withLock { _ = $0.removeValue(forKey: id) } }
}
