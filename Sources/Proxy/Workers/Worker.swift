import NIOCore
import Synchronization

package enum WorkerRole: String, Sendable {
  case prefill
  case decode

  /// What a worker of this role is called.
  var name: String { self == .prefill ? "prefiller" : "decoder" }

  /// As the log files are called: `prefiller1`, `decoder2`.
  func workerName(_ index: Int) -> String { "\(name)\(index + 1)" }
}

/// One worker as the proxy sees it. A `Mutex` guards its health and its count of running legs.
final class Worker: Sendable {
  private struct State {
    var health: WorkerHealth
    var source: WorkerSource
    var running = 0
    /// Handoffs that it holds for decoders.
    var handoffs = 0
    /// By when all that runs on it must have ended; nil unless it was removed.
    var leavesBy: NIODeadline?
  }

  let endpoint: WorkerEndpoint
  /// Tells it from the others of its role, from 0. One that has gone leaves its number to another.
  let index: Int
  /// A hash of its role and address: the same in every proxy.
  let identity: UInt64
  let series: WorkerSeries
  /// The address as `Host` has it.
  let authority: String
  private let state: Mutex<State>

  init(_ endpoint: WorkerEndpoint, index: Int, source: WorkerSource, series: WorkerSeries, health: WorkerHealth) {
    self.endpoint = endpoint
    self.index = index
    self.series = series
    identity = StableHash.hash("\(endpoint)")
    authority = "\(endpoint.address)"
    state = Mutex(State(health: health, source: source))
  }

  var role: WorkerRole { endpoint.role }
  var address: WorkerAddress { endpoint.address }

  var name: String { role.workerName(index) }

  var health: WorkerHealth { state.withLock { $0.health } }
  var running: Int { state.withLock { $0.running } }
  var source: WorkerSource { state.withLock { $0.source } }
  var isLeaving: Bool { state.withLock { $0.leavesBy != nil } }
  /// Nobody would miss it: no leg runs on it, and no decoder is to pull from it.
  var isIdle: Bool { state.withLock { $0.running == 0 && $0.handoffs == 0 } }

  /// It was removed, and the time that it had to end what it does is over.
  func hasToEnd(now: NIODeadline) -> Bool { state.withLock { $0.leavesBy.map { now >= $0 } ?? false } }

  func leave(by deadline: NIODeadline) { state.withLock { $0.leavesBy = deadline } }

  /// It was to leave, and is wanted after all.
  func stay(_ source: WorkerSource) {
    state.withLock { state in
      state.leavesBy = nil
      state.source = source
    }
  }

  fileprivate func holdHandoff(_ change: Int) { state.withLock { $0.handoffs += change } }

  func legStarted(now: NIODeadline) -> WorkerHealth.Epoch {
    state.withLock { state in
      state.running += 1
      return state.health.legStarted(now: now)
    }
  }

  func legFinished(_ epoch: WorkerHealth.Epoch, now: NIODeadline) {
    state.withLock { state in
      state.running -= 1
      state.health.legFinished(epoch, now: now)
    }
  }

  /// - Returns: The fault before and after, for the log.
  @discardableResult
  func updateHealth(_ update: (inout WorkerHealth) -> Void) -> (before: WorkerHealth.Fault?, after: WorkerHealth.Fault?)
  {
    state.withLock { state in
      let before = state.health.fault
      update(&state.health)
      return (before, state.health.fault)
    }
  }
}

/// A handoff that is out: as long as this lives, its prefiller is needed, whether it is asked to leave or not.
final class HeldHandoff {
  private let prefiller: Worker

  init(of prefiller: Worker) {
    self.prefiller = prefiller
    prefiller.holdHandoff(1)
  }

  deinit { prefiller.holdHandoff(-1) }
}
