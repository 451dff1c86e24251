import NIOCore

/// Asks every worker for `/health` now and then: brings back those that recovered before a request has to find out, and
/// takes out those that accept requests and never answer, or that say that they want no more. Belongs to its loop's event loop.
// SAFETY: `checking` and `task` are used on `loop.eventLoop` only.
final class HealthChecker: @unchecked Sendable {
  private let loop: ProxyLoop
  private let settings: HealthCheckSettings
  private var checking: Set<ObjectIdentifier> = []
  private var task: RepeatedTask?

  init(loop: ProxyLoop) {
    self.loop = loop
    settings = loop.context.configuration.healthCheck
  }

  func start() {
    task = loop.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(settings.interval)) { _ in
      for worker in self.loop.context.registry.fleet.workers { self.check(worker) }
    }
  }

  func stop() { task?.cancel() }

  /// Does not let a new worker wait for the next interval. From any thread.
  func checkAtOnce(_ workers: [Worker]) {
    loop.eventLoop.execute { for worker in workers { self.check(worker) } }
  }

  private func check(_ worker: Worker) {
    guard checking.insert(ObjectIdentifier(worker)).inserted else { return }
    SingleAnswer.get("/health", from: worker, over: loop, within: settings.timeout) { [self] result in
      checking.remove(ObjectIdentifier(worker))
      let change = worker.updateHealth { $0.checked(Self.check(result), limit: settings.failures, now: .now()) }
      loop.context.logChange(of: worker, change)
    }
  }

  private static func check(_ result: Result<(status: Int, body: ByteBuffer), LegFault>) -> WorkerHealth.Check {
    switch result {
    case .success(let answer) where (200..<300).contains(answer.status): .passed
    case .success(let answer): answer.status == 503 ? .draining : .failed
    case .failure(.connect): .refused
    case .failure: .failed
    }
  }
}
