/// Decides when the processes of a deployment start and stop; `Launcher` acts.
///
/// starting(stage 0) → … → up → stopping(last stage) → … → done. A child is named by its place in `stages.joined()`.
package struct LaunchSequence {
  package enum Event: Equatable, Sendable {
    /// A child answers `/health`.
    case ready(Int)
    case exited(Int)
    /// This stage has used up the time that it has to start.
    case deadline(stage: Int)
    /// The user or the system asks to stop.
    case stopSignal
  }

  package enum Action: Equatable {
    case start(stage: Int, [Int])
    case announce
    /// Ask these to stop, and end them by force after the grace period.
    case stop([Int])
    /// End these by force now.
    case kill([Int])
    case report(Failure)
    /// Every child is gone.
    case finish(exitCode: Int32)
  }

  package enum Failure: Equatable {
    case died(Int)
    case notReady([Int])
  }

  private enum State {
    case idle
    case starting(stage: Int, pending: Set<Int>)
    case up
    case stopping(stage: Int, exitCode: Int32)
    case done
  }

  private let stages: [Range<Int>]
  private var alive: Set<Int> = []
  private var state = State.idle

  /// - Parameter stageSizes: Children per stage, in start order; no stage is empty.
  package init(stageSizes: [Int]) {
    var next = 0
    stages = stageSizes.map { size in
      defer { next += size }
      return next..<(next + size)
    }
  }

  package mutating func begin() -> [Action] { start(stage: 0) }

  package mutating func handle(_ event: Event) -> [Action] {
    switch event {
    case .ready(let child): ready(child)
    case .exited(let child): exited(child)
    case .deadline(let stage): deadline(stage)
    case .stopSignal: stopSignal()
    }
  }

  private mutating func start(stage: Int) -> [Action] {
    state = .starting(stage: stage, pending: Set(stages[stage]))
    alive.formUnion(stages[stage])
    return [.start(stage: stage, Array(stages[stage]))]
  }

  private mutating func ready(_ child: Int) -> [Action] {
    guard case .starting(let stage, var pending) = state else { return [] }
    pending.remove(child)
    guard pending.isEmpty else {
      state = .starting(stage: stage, pending: pending)
      return []
    }
    if stage + 1 < stages.count { return start(stage: stage + 1) }
    state = .up
    return [.announce]
  }

  private mutating func exited(_ child: Int) -> [Action] {
    alive.remove(child)
    switch state {
    case .up where stages.last?.contains(child) == false:
      // The proxy routes around a dead worker, and says so to its clients if none is left.
      return [.report(.died(child))]
    case .starting, .up: return [.report(.died(child))] + stop(from: stages.count - 1, exitCode: 1)
    case .stopping(let stage, let exitCode): return stop(from: stage, exitCode: exitCode, already: stage)
    case .idle, .done: return []
    }
  }

  private mutating func deadline(_ stage: Int) -> [Action] {
    guard case .starting(stage, let pending) = state else { return [] }
    return [.report(.notReady(pending.sorted()))] + stop(from: stages.count - 1, exitCode: 1)
  }

  private mutating func stopSignal() -> [Action] {
    switch state {
    case .idle, .done: return []
    case .starting, .up: return stop(from: stages.count - 1, exitCode: 0)
    // The second signal means: now.
    case .stopping: return [.kill(alive.sorted())]
    }
  }

  /// Stops the last stage that still has living children; those before it follow when it is gone.
  ///
  /// - Parameter already: A stage that has been asked to stop and must not be asked again.
  private mutating func stop(from last: Int, exitCode: Int32, already: Int? = nil) -> [Action] {
    guard let stage = stages[...last].lastIndex(where: { !alive.isDisjoint(with: $0) }) else {
      state = .done
      return [.finish(exitCode: exitCode)]
    }
    state = .stopping(stage: stage, exitCode: exitCode)
    return stage == already ? [] : [.stop(alive.intersection(stages[stage]).sorted())]
  }
}
