import NIOCore
import Synchronization

package enum WorkerRole: String, Sendable {
  case prefill
  case decode

  /// What a worker of this role is called.
  var name: String { self == .prefill ? "prefiller" : "decoder" }
}

/// One worker as the proxy sees it. A `Mutex` guards its health and its count of running legs.
final class Worker: Sendable {
  private struct State {
    var health: WorkerHealth
    var running = 0
  }

  let role: WorkerRole
  /// Its place among the workers of its role, from 0.
  let index: Int
  let address: WorkerAddress
  /// The address as `Host` has it.
  let authority: String
  private let state: Mutex<State>

  init(role: WorkerRole, index: Int, address: WorkerAddress, ejectAfter: Int) {
    self.role = role
    self.index = index
    self.address = address
    authority = "\(address)"
    state = Mutex(State(health: WorkerHealth(ejectAfter: ejectAfter)))
  }

  /// As the log files are called: `prefiller1`, `decoder2`.
  var name: String { "\(role.name)\(index + 1)" }

  var health: WorkerHealth { state.withLock { $0.health } }
  var running: Int { state.withLock { $0.running } }

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
