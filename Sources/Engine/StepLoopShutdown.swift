import Logging

/// How far the engine is on its way out.
enum ShutdownPhase {
  case serving
  /// What is here may end by itself until the deadline.
  case draining(until: ContinuousClock.Instant)
  /// All is cancelled; only transfers under way are awaited.
  case stopping(until: ContinuousClock.Instant)

  var deadline: ContinuousClock.Instant? {
    switch self {
    case .serving: nil
    case .draining(let deadline), .stopping(let deadline): deadline
    }
  }
}

extension StepLoop {
  /// How long transfers may take to notice that they were cancelled.
  private static let transferGrace = Duration.seconds(5)

  func beginShutdown(grace: Duration, done: CheckedContinuation<Void, Never>?) {
    if let done { shutdownWaiters.append(done) }
    let deadline = ContinuousClock.now + grace
    switch shutdown {
    case .serving: shutdown = .draining(until: deadline)
    case .draining(let earlier): shutdown = .draining(until: min(earlier, deadline))
    case .stopping: break
    }
  }

  /// - Returns: True when the thread may end.
  func advanceShutdown(now: ContinuousClock.Instant) -> Bool {
    switch shutdown {
    case .serving:
      return false
    case .draining(let deadline):
      guard !isDrained, now >= deadline else { return isDrained }
      for number in requests.keys.sorted() { cancel(number) }
      for handoff in published.values { transport?.withdraw(handoff.handoff.id) }
      shutdown = .stopping(until: now + Self.transferGrace)
      return isDrained
    case .stopping(let deadline):
      guard !isDrained, now >= deadline else { return isDrained }
      logger.error(
        "shut down while transfers were under way",
        metadata: ["pulls": "\(pulls.count + loads.count)", "published": "\(published.count)"])
      return true
    }
  }

  private var isDrained: Bool { requests.isEmpty && pulls.isEmpty && loads.isEmpty && published.isEmpty }

  /// Tells whoever came too late.
  func endThread() {
    for message in mailbox.close() {
      switch message {
      case .submit(let submission):
        var timings = RequestTimings(queued: submission.queued)
        timings.finished = .now
        submission.events.yield(.finished(GenerationResult(reason: .abort, timings: timings)))
        submission.events.finish()
      case .shutdown(_, let done):
        done?.resume()
      case .cancel, .cancelRequests, .pullEnded, .loadEnded, .released, .resetPrefixCache:
        break
      }
    }
    offload?.close(keeping: scheduler.pool.named)
    for waiter in shutdownWaiters { waiter.resume() }
  }
}
