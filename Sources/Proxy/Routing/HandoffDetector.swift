import Logging
import NIOCore

/// Under `--handoff auto`: asks workers for the pages of `HandoffEvidence` until one of each role has answered, then says
/// in the log what it makes of it and stops. Belongs to its loop's event loop.
// SAFETY: every stored `var` is used on `loop.eventLoop` only.
final class HandoffDetector: @unchecked Sendable {
  private let loop: ProxyLoop
  private var detection = HandoffDetection()
  /// Held, so that none that was asked is taken for one that comes later.
  private var asking: [ObjectIdentifier: Worker] = [:]
  private var task: RepeatedTask?

  init(loop: ProxyLoop) { self.loop = loop }

  func start() {
    loop.eventLoop.execute { [self] in
      let interval = TimeAmount(loop.context.configuration.healthCheck.interval)
      task = loop.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { [self] _ in askAll() }
    }
  }

  func stop() {
    loop.eventLoop.execute { [self] in
      task?.cancel()
      task = nil
    }
  }

  private func askAll() {
    // With nobody to prefill for others there is nothing to find out yet.
    guard !loop.context.prefillers.workers.isEmpty else { return }
    let workers = loop.context.prefillers.workers + loop.context.decoders.workers
    let present = Set(workers.map { ObjectIdentifier($0) })
    asking = asking.filter { present.contains($0.key) }
    for worker in workers where asking.updateValue(worker, forKey: ObjectIdentifier(worker)) == nil {
      ask(worker, for: HandoffEvidence.allCases[...])
    }
  }

  private func ask(_ worker: Worker, for pages: ArraySlice<HandoffEvidence>) {
    guard let page = pages.first else { return heard(.silent, from: worker) }
    let timeout = loop.context.configuration.healthCheck.timeout
    SingleAnswer.get(page.path, from: worker, over: loop, within: timeout) { [self] result in
      switch result {
      case .success(let answer) where answer.status < 500:
        let finding = (200..<300).contains(answer.status) ? page.judge(answer.body) : nil
        if let finding { heard(finding, from: worker) } else { ask(worker, for: pages.dropFirst()) }
      // It is not ready: it is asked again at the next interval.
      case .success, .failure: asking[ObjectIdentifier(worker)] = nil
      }
    }
  }

  private func heard(_ finding: HandoffFinding, from worker: Worker) {
    guard let task, let verdict = detection.heard(finding, from: worker.role) else { return }
    task.cancel()
    self.task = nil
    let context = loop.context
    switch verdict {
    case .found(let kind, let evidence):
      context.handoffChoice.use(kind)
      context.logger.notice(
        "Handoff detected",
        metadata: ["handoff": "\(kind.rawValue)", "worker": "\(worker.name)", "evidence": "\(evidence)"])
    case .unknown:
      context.logger.notice(
        "No worker tells its handoff: using nixl; --handoff names another", metadata: ["handoff": "nixl"])
    case .contradiction(let prefiller, let decoder):
      context.logger.error(
        "Prefillers and decoders speak different handoffs: using nixl; see their command lines, or give --handoff",
        metadata: ["prefiller": "\(prefiller.rawValue)", "decoder": "\(decoder.rawValue)"])
    }
  }
}
