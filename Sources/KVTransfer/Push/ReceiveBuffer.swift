import KVBlocks

/// Owns the receive buffer's ledger, in a monitor: the connections' threads wait in it for room.
final class ReceiveBuffer: Sendable {
  private struct State: Sendable {
    var ledger: ReceiveLedger
    /// Handoffs that the engine may still pull, by the id they were given.
    var readers: [KVHandoff.ID: ReceiveLedger.Reader] = [:]
    var statistics = ReceiveStatistics()
    var isClosed = false
  }

  let memory: KVMemory
  private let state: Monitor<State>

  init(_ memory: KVMemory, _ limits: ReceiveLedger.Limits) {
    self.memory = memory
    state = Monitor(State(ledger: ReceiveLedger(limits)))
  }

  /// Whoever waits for room gives up.
  func close() { state.update { $0.isClosed = true } }

  var statistics: ReceiveStatistics {
    state.withLock { state in
      var statistics = state.statistics
      statistics.freeBlocks = state.ledger.freeBlocks
      statistics.storedPrompts = state.ledger.storedPrompts
      statistics.waiting = state.ledger.waiting
      statistics.evicted = state.ledger.evicted
      return statistics
    }
  }

  enum Admission: Equatable {
    case granted(ReceiveLedger.Reservation)
    case known
    case neverFits(capacity: Int)
    /// No room until the deadline.
    case full
  }

  /// Blocks the calling thread until there is room, or the deadline comes.
  func reserve(_ key: PromptKey, blocks: Int, until deadline: ContinuousClock.Instant) -> Admission {
    let (id, answer) = state.update { $0.ledger.reserve(key, blocks: blocks, now: .now) }
    switch answer {
    case .granted: return .granted(id)
    case .known: return .known
    case .neverFits(let capacity): return .neverFits(capacity: capacity)
    case .waiting: return awaitGrant(id, until: deadline)
    }
  }

  private func awaitGrant(
    _ id: ReceiveLedger.Reservation, until deadline: ContinuousClock.Instant
  ) -> Admission {
    state.wait { state in
      let now = ContinuousClock.now
      state.ledger.advance(now: now)
      if state.ledger.isGranted(id) { return .done(.granted(id)) }
      if now >= deadline || state.isClosed {
        state.ledger.cancel(id, now: now)
        return .done(.full)
      }
      return .wait(until: min(deadline, state.ledger.nextDeadline(after: now) ?? deadline))
    }
  }

  func fill(_ id: ReceiveLedger.Reservation) -> [KVBlockID]? { state.update { $0.ledger.fill(id, now: .now) } }

  func store(_ id: ReceiveLedger.Reservation, as key: PromptKey, tokens: Int) {
    state.update { state in
      state.ledger.store(id, as: key, tokens: tokens, now: .now)
      state.statistics.stored += 1
    }
  }

  func fail(_ id: ReceiveLedger.Reservation) {
    state.update { state in
      state.ledger.fail(id, now: .now)
      state.statistics.failed += 1
    }
  }

  func cancel(_ id: ReceiveLedger.Reservation) { state.update { $0.ledger.cancel(id, now: .now) } }

  // MARK: The engine's side

  /// A ticket to the prompt's KV, which stays until the ticket is pulled or abandoned; nil if it is not here.
  func claim(_ key: PromptKey, engineID: String) -> KVHandoff? {
    state.withLock { state in
      guard !state.isClosed, let (reader, stored) = state.ledger.claim(key, now: .now) else {
        state.statistics.misses += 1
        return nil
      }
      state.statistics.hits += 1
      let id = KVHandoff.ID.random()
      state.readers[id] = reader
      return KVHandoff(
        id: id, engineID: engineID, host: "", port: 0, blocks: stored.blocks, tokens: stored.tokens)
    }
  }

  /// Whether the ticket's blocks are still held for it.
  func holds(_ id: KVHandoff.ID) -> Bool { state.withLock { $0.readers[id] != nil } }

  /// The ticket is used up; harmless if it was before.
  func finish(_ id: KVHandoff.ID, hasRead: Bool) {
    state.update { state in
      guard let reader = state.readers.removeValue(forKey: id) else { return }
      state.ledger.finish(reader, hasRead: hasRead, now: .now)
    }
  }
}

/// What a receive buffer has done since its start, for `/metrics`.
package struct ReceiveStatistics: Sendable {
  package var freeBlocks = 0
  package var storedPrompts = 0
  /// Prompts that wait for room.
  package var waiting = 0
  package var stored = 0
  /// Pushes that were granted room and did not arrive.
  package var failed = 0
  /// Prompts of this worker's requests that were here, and that were not.
  package var hits = 0
  package var misses = 0
  package var evicted = (read: 0, unread: 0)
}
