/// A few threads for a decoder's transfers, started when there is work, and the queue before them.
final class PullThreads: Sendable {
  struct Job: Sendable {
    var id: UInt64
    var run: @Sendable () -> Void
  }

  private struct State: Sendable {
    var queue: [Job] = []
    var nextID: UInt64 = 0
    var threads = 0
    var idle = 0
    var isClosed = false
  }

  private let limit: Int
  private let name: String
  private let state = Monitor(State())

  /// - Parameter name: Of each thread; at most 15 bytes.
  init(limit: Int, name: String) {
    self.limit = max(1, limit)
    self.name = name
  }

  /// Queues `run`, which a thread calls once, if not `remove`d before.
  /// - Returns: nil if closed, or if there is no thread to be had at all.
  func enqueue(_ run: @escaping @Sendable () -> Void) -> UInt64? {
    let (id, needsThread) = state.update { state -> (UInt64?, Bool) in
      if state.isClosed { return (nil, false) }
      state.nextID += 1
      state.queue.append(Job(id: state.nextID, run: run))
      let needsThread = state.queue.count > state.idle && state.threads < limit
      if needsThread { state.threads += 1 }
      return (state.nextID, needsThread)
    }
    guard let id else { return nil }
    if needsThread, !OwnThread.start(name, { [self] in work() }) {
      let isAlone = state.update { state in
        state.threads -= 1
        return state.threads == 0
      }
      if isAlone && remove(id) { return nil }
    }
    return id
  }

  /// Runs `body` on one of the threads, and waits for it as a task does.
  /// - Parameter cancellation: of the task; `body` names to it what it waits on. It returns when `body` has, or at once if
  ///   that never ran.
  func run<Value: Sendable>(
    _ cancellation: PullCancellation,
    _ body: @escaping @Sendable (PullCancellation) throws(KVTransferError) -> Value
  ) async -> Result<Value, KVTransferError> {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let id = enqueue {
          let result: Result<Value, KVTransferError>
          do throws(KVTransferError) {
            try cancellation.check()
            result = .success(try body(cancellation))
          } catch {
            result = .failure(cancellation.reason ?? error)
          }
          continuation.resume(returning: result)
        }
        guard let id else { return continuation.resume(returning: .failure(.closed)) }
        cancellation.whileQueued { [self] reason in
          if remove(id) { continuation.resume(returning: .failure(reason)) }
        }
      }
    } onCancel: {
      cancellation.cancel(.cancelled)
    }
  }

  /// - Returns: True if the job was still in the queue, and now never runs.
  func remove(_ id: UInt64) -> Bool {
    state.withLock { state in
      guard let index = state.queue.firstIndex(where: { $0.id == id }) else { return false }
      state.queue.remove(at: index)
      return true
    }
  }

  /// Takes no more jobs, and returns when those it has are done and its threads gone.
  func close() {
    state.update { $0.isClosed = true }
    state.wait { $0.threads > 0 ? .wait(until: nil) : .done(()) }
  }

  private func work() {
    while let job = next() { job.run() }
    state.update { $0.threads -= 1 }
  }

  private func next() -> Job? {
    var isIdle = false
    return state.wait { state in
      if !state.queue.isEmpty {
        if isIdle { state.idle -= 1 }
        return .done(state.queue.removeFirst())
      }
      if state.isClosed { return .done(nil) }
      if !isIdle { state.idle += 1 }
      isIdle = true
      return .wait(until: nil)
    }
  }
}
