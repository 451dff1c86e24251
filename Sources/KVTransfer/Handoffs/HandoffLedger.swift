import KVBlocks

/// Every handoff that holds blocks, and when its lease ends. A value: time is handed in, and whoever owns it calls
/// the `onRelease` of what it returns, outside any lock.
package struct HandoffLedger: Sendable {
  package struct Entry: Sendable {
    package var blocks: [KVBlockID]
    package var tokens: Int
    package var requestID: String
    package var lease: HandoffLease
    /// What is there of the prompt's KV; nil: all.
    package var publication: KVPublication?
    package var onRelease: @Sendable () -> Void

    package init(
      blocks: [KVBlockID], tokens: Int, requestID: String, lease: HandoffLease, publication: KVPublication? = nil,
      onRelease: @escaping @Sendable () -> Void
    ) {
      self.publication = publication
      self.blocks = blocks
      self.tokens = tokens
      self.requestID = requestID
      self.lease = lease
      self.onRelease = onRelease
    }
  }

  package struct Released: Sendable {
    package var entry: Entry
    package var ending: HandoffLease.Ending
  }

  package enum ClaimAnswer {
    case granted(Entry)
    case taken
    case expired
    case unknown
  }

  private var entries: [KVHandoff.ID: Entry] = [:]
  private var deadlines = DeadlineHeap<KVHandoff.ID>()
  /// The last few that expired, so that a late decoder learns why its handoff is gone.
  private var recentlyExpired: [KVHandoff.ID] = []
  private static let recentlyExpiredLimit = 256

  package init() {}

  package var count: Int { entries.count }

  /// When `expire` next has something to do.
  package var nextDeadline: ContinuousClock.Instant? { deadlines.first?.deadline }

  package mutating func publish(_ entry: Entry, id: KVHandoff.ID) {
    entries[id] = entry
    if let deadline = entry.lease.deadline { deadlines.insert(id, at: deadline) }
  }

  /// The prompt is computed: the lease begins, if the handoff is not over already.
  package mutating func complete(_ id: KVHandoff.ID, until deadline: ContinuousClock.Instant) {
    guard entries[id] != nil else { return }
    entries[id]!.lease.begin(until: deadline)
    deadlines.insert(id, at: deadline)
  }

  /// Takes a handoff out whose blocks were never its own, even one that is being sent: no claim on it ends well from now on.
  /// - Returns: False if it is over already.
  package mutating func revoke(_ id: KVHandoff.ID) -> Bool { entries.removeValue(forKey: id) != nil }

  /// Whether the claim still has it.
  package func holds(_ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID) -> Bool {
    entries[id]?.lease.isHeld(by: claim) ?? false
  }

  package mutating func claim(
    _ id: KVHandoff.ID, by claim: HandoffLease.ClaimID, now: ContinuousClock.Instant
  ) -> (answer: ClaimAnswer, released: [Released]) {
    let released = expire(now: now)
    guard var entry = entries[id] else { return (recentlyExpired.contains(id) ? .expired : .unknown, released) }
    guard entry.lease.claim(by: claim) else { return (.taken, released) }
    entries[id] = entry
    return (.granted(entry), released)
  }

  package mutating func finish(_ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID) -> Released? {
    act(on: id) { $0.finish(claim) }
  }

  package mutating func lose(
    _ id: KVHandoff.ID, _ claim: HandoffLease.ClaimID, now: ContinuousClock.Instant
  ) -> Released? {
    act(on: id) { $0.lose(claim, now: now) }
  }

  package mutating func withdraw(_ id: KVHandoff.ID) -> Released? {
    act(on: id) { $0.withdraw() }
  }

  /// Ends every lease that has run out.
  package mutating func expire(now: ContinuousClock.Instant) -> [Released] {
    var released: [Released] = []
    while let (deadline, id) = deadlines.first, deadline <= now || entries[id] == nil {
      deadlines.removeFirst()
      if let ended = act(on: id, { $0.tick(now: now) }) { released.append(ended) }
    }
    return released
  }

  /// Takes everything out; nobody may be reading any more.
  package mutating func removeAll() -> [Released] {
    defer { self = HandoffLedger() }
    return entries.values.map { Released(entry: $0, ending: .withdrawn) }
  }

  private mutating func act(
    on id: KVHandoff.ID, _ event: (inout HandoffLease) -> HandoffLease.Action
  ) -> Released? {
    guard var entry = entries[id] else { return nil }
    let action = event(&entry.lease)
    guard case .free(let ending) = action else {
      entries[id] = entry
      return nil
    }
    entries[id] = nil
    if ending == .expired { recentlyExpired = recentlyExpired.suffix(Self.recentlyExpiredLimit - 1) + [id] }
    return Released(entry: entry, ending: ending)
  }
}
