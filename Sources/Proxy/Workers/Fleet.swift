/// All workers of one moment: those that may be picked, and those that were removed and only end what runs on them.
final class Fleet: Sendable {
  let prefillers: WorkerPool
  let decoders: WorkerPool
  let leaving: [Worker]

  init(prefillers: WorkerPool, decoders: WorkerPool, leaving: [Worker]) {
    self.prefillers = prefillers
    self.decoders = decoders
    self.leaving = leaving
  }

  /// Those that leave behind the others.
  var workers: [Worker] { prefillers.workers + decoders.workers + leaving }

  /// In the order of their numbers, those that leave among them.
  func workers(of role: WorkerRole) -> [Worker] {
    workers.filter { $0.role == role }.sorted { $0.index < $1.index }
  }
}
