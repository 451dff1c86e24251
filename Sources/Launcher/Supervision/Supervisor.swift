/// Decides when the processes of a deployment start, start again and stop; `Launcher` acts.
///
/// starting(stage 0) → … → up → stopping(last stage) → … → done. A child is named by its place in `stages.joined()`.
/// A child that dies before it was ever ready ends the start: what is wrong with it will be wrong again. One that was
/// ready starts again, after a pause that grows, until it has died too often in a row; then the deployment goes on
/// without it, unless it was the last of its role.
package struct Supervisor {
  package struct Child: Sendable {
    /// Children with the same role can stand in for each other.
    package var role: Int
    /// False: it runs elsewhere; it is awaited, and neither started nor stopped.
    package var isOurs: Bool

    package init(role: Int, isOurs: Bool = true) {
      self.role = role
      self.isOurs = isOurs
    }
  }

  package enum Event: Equatable, Sendable {
    /// The pause before a start is over.
    case due(Int)
    /// A child answers `/health`.
    case ready(Int)
    case exited(Int)
    /// This start of a child has used up its time.
    case deadline(Int, start: Int)
    /// The user or the system asks to stop.
    case stopSignal
  }

  package enum Action: Equatable {
    /// Hand back `due` after this time.
    case schedule(Int, after: Duration)
    /// Start it, or await it if it is not ours; its deadline comes back with this number.
    case launch(Int, start: Int)
    case announce
    /// One that was started again answers.
    case recovered(Int)
    /// Ask these to stop, and end them by force after the grace period.
    case stop([Int])
    /// End these by force now.
    case kill([Int])
    case report(Failure)
    /// Every child is gone.
    case finish(exitCode: Int32)
  }

  package enum Failure: Equatable {
    /// Before it was ready.
    case died(Int)
    case diedAndRestarts(Int, after: Duration, attempt: Int)
    case crashLoop(Int, deaths: Int)
    /// No child of this one's role is left.
    case roleIsEmpty(Int)
    case notReady([Int])
  }

  private enum Phase {
    case starting(stage: Int)
    case up
    case stopping(stage: Int, exitCode: Int32)
    case done
  }

  private enum Life: Equatable {
    case idle
    case pausing
    case starting
    case ready(since: ContinuousClock.Instant)
    case abandoned
  }

  private let children: [Child]
  private let stages: [Range<Int>]
  private let policy: RestartPolicy
  private let stagger: Duration
  private var lives: [Life]
  private var starts: [Int]
  private var deaths: [Int]
  /// Processes of ours that run.
  private var alive: Set<Int> = []
  private var phase = Phase.starting(stage: 0)

  /// - Parameter stages: In start order; none is empty.
  package init(stages: [[Child]], policy: RestartPolicy, stagger: Duration = .zero) {
    children = stages.flatMap { $0 }
    var next = 0
    self.stages = stages.map { stage in
      defer { next += stage.count }
      return next..<(next + stage.count)
    }
    self.policy = policy
    self.stagger = stagger
    lives = Array(repeating: .idle, count: children.count)
    starts = Array(repeating: 0, count: children.count)
    deaths = starts
  }

  package mutating func begin() -> [Action] { start(stage: 0) }

  package mutating func handle(_ event: Event, now: ContinuousClock.Instant) -> [Action] {
    switch event {
    case .due(let child): due(child)
    case .ready(let child): ready(child, now)
    case .exited(let child): exited(child, now)
    case .deadline(let child, let start): deadline(child, start)
    case .stopSignal: stopSignal()
    }
  }

  private mutating func start(stage: Int) -> [Action] {
    phase = .starting(stage: stage)
    return stages[stage].enumerated().map { place, child in
      lives[child] = .pausing
      return .schedule(child, after: stagger * place)
    }
  }

  private mutating func due(_ child: Int) -> [Action] {
    guard lives[child] == .pausing else { return [] }
    lives[child] = .starting
    starts[child] += 1
    if children[child].isOurs { alive.insert(child) }
    return [.launch(child, start: starts[child])]
  }

  private mutating func ready(_ child: Int, _ now: ContinuousClock.Instant) -> [Action] {
    guard lives[child] == .starting else { return [] }
    lives[child] = .ready(since: now)
    var actions: [Action] = starts[child] > 1 ? [.recovered(child)] : []
    guard case .starting(let stage) = phase, stages[stage].allSatisfy(isReady) else { return actions }
    if stage + 1 < stages.count { return actions + start(stage: stage + 1) }
    phase = .up
    actions.append(.announce)
    return actions
  }

  private func isReady(_ child: Int) -> Bool { if case .ready = lives[child] { true } else { false } }

  private mutating func exited(_ child: Int, _ now: ContinuousClock.Instant) -> [Action] {
    alive.remove(child)
    switch phase {
    case .starting, .up: return died(child, now)
    case .stopping(let stage, let exitCode): return stop(from: stage, exitCode: exitCode, already: stage)
    case .done: return []
    }
  }

  private mutating func died(_ child: Int, _ now: ContinuousClock.Instant) -> [Action] {
    switch lives[child] {
    case .ready(let since):
      if since.duration(to: now) >= policy.settle { deaths[child] = 0 }
    case .starting where starts[child] == 1: return [.report(.died(child))] + stop(exitCode: 1)
    case .starting: break
    case .idle, .pausing, .abandoned: return []
    }
    deaths[child] += 1
    if let pause = policy.pause(afterDeath: deaths[child]) {
      lives[child] = .pausing
      return [
        .report(.diedAndRestarts(child, after: pause, attempt: deaths[child])), .schedule(child, after: pause),
      ]
    }
    lives[child] = .abandoned
    let report = Action.report(.crashLoop(child, deaths: deaths[child]))
    let stands = children.indices.contains { children[$0].role == children[child].role && lives[$0] != .abandoned }
    return stands ? [report] : [report, .report(.roleIsEmpty(child))] + stop(exitCode: 1)
  }

  private mutating func deadline(_ child: Int, _ start: Int) -> [Action] {
    guard lives[child] == .starting, starts[child] == start else { return [] }
    switch phase {
    case .starting(let stage) where start == 1:
      return [.report(.notReady(stages[stage].filter { !isReady($0) }))] + stop(exitCode: 1)
    // It dies of this, and is dealt with then.
    case .starting, .up: return [.report(.notReady([child])), .kill([child])]
    case .stopping, .done: return []
    }
  }

  private mutating func stopSignal() -> [Action] {
    switch phase {
    case .done: return []
    case .starting, .up: return stop(exitCode: 0)
    // The second signal means: now.
    case .stopping: return [.kill(alive.sorted())]
    }
  }

  private mutating func stop(exitCode: Int32) -> [Action] {
    for child in children.indices { lives[child] = .abandoned }
    return stop(from: stages.count - 1, exitCode: exitCode)
  }

  /// Stops the last stage that still has living children; those before it follow when it is gone.
  ///
  /// - Parameter already: A stage that has been asked to stop and must not be asked again.
  private mutating func stop(from last: Int, exitCode: Int32, already: Int? = nil) -> [Action] {
    guard let stage = stages[...last].lastIndex(where: { !alive.isDisjoint(with: $0) }) else {
      phase = .done
      return [.finish(exitCode: exitCode)]
    }
    phase = .stopping(stage: stage, exitCode: exitCode)
    return stage == already ? [] : [.stop(alive.intersection(stages[stage]).sorted())]
  }
}
