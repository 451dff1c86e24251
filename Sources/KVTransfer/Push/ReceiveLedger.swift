import KVBlocks

/// Who owns each block of a decoder's bounded receive buffer: nobody, a prompt that is on its way, or one that has come.
///
/// A prompt's blocks are reserved all at once or not at all, in the order of the asking, and before its KV is computed; so
/// two prompts never wait for each other with half of their blocks each. Whatever holds blocks has a deadline, so whoever
/// waits is served in the end, or gives up. A value: time is handed in, and its owner (`ReceiveBuffer`) has lock and clock.
package struct ReceiveLedger: Sendable {
  package struct Limits: Sendable {
    package var blocks: Int
    /// From a grant until the KV is offered: the prefill lies between.
    package var grant = Duration.seconds(120)
    /// How long KV that has come is kept for its first reader, whoever else waits.
    package var unread = Duration.seconds(30)

    package init(blocks: Int) { self.blocks = blocks }
  }

  package typealias Reservation = UInt64
  package typealias Reader = UInt64

  package enum Answer: Equatable, Sendable {
    case granted
    /// Others came before; `isGranted` will tell.
    case waiting
    /// The same KV is here already, and is kept for a reader of this one.
    case known
    case neverFits(capacity: Int)
  }

  package struct Stored: Sendable {
    package var blocks: [KVBlockID]
    package var tokens: Int
    /// Until then it is not evicted.
    var deadline: ContinuousClock.Instant
    var lastUse: ContinuousClock.Instant
    var readers = 0
    var wasRead = false
  }

  private struct Grant: Sendable {
    var blocks: [KVBlockID]
    var deadline: ContinuousClock.Instant
    /// Somebody writes into the blocks: the deadline waits for them.
    var isFilling = false
  }

  private let limits: Limits
  private var free: [KVBlockID]
  private var queue: [(id: Reservation, blocks: Int)] = []
  private var grants: [Reservation: Grant] = [:]
  private var stored: [PromptKey: Stored] = [:]
  private var readers: [Reader: PromptKey] = [:]
  private var lastNumber: UInt64 = 0
  /// Prompts that had to leave for others: read ones, and those that nobody had read.
  package private(set) var evicted = (read: 0, unread: 0)

  package init(_ limits: Limits) {
    self.limits = limits
    free = (0..<limits.blocks).reversed().map { KVBlockID(Int32($0)) }
  }

  package var freeBlocks: Int { free.count }
  package var storedPrompts: Int { stored.count }
  package var waiting: Int { queue.count }

  /// When somebody who waits may be served without anybody calling; nil if nobody waits.
  package func nextDeadline(after now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    guard !queue.isEmpty else { return nil }
    let grants = grants.values.lazy.filter { !$0.isFilling }.map(\.deadline)
    let unread = stored.values.lazy.map(\.deadline)
    return [grants.min(), unread.filter { $0 > now }.min()].compactMap { $0 }.min()
  }

  // MARK: A prompt on its way

  package mutating func reserve(
    _ key: PromptKey, blocks: Int, now: ContinuousClock.Instant
  ) -> (id: Reservation, answer: Answer) {
    lastNumber += 1
    guard blocks <= limits.blocks else { return (lastNumber, .neverFits(capacity: limits.blocks)) }
    if stored[key] != nil {
      stored[key]!.deadline = now + limits.unread
      return (lastNumber, .known)
    }
    queue.append((lastNumber, blocks))
    advance(now: now)
    return (lastNumber, grants[lastNumber] == nil ? .waiting : .granted)
  }

  package func isGranted(_ id: Reservation) -> Bool { grants[id] != nil }

  /// Somebody is about to write into the blocks: `store` or `fail` must follow.
  /// - Returns: nil if the grant has run out.
  package mutating func fill(_ id: Reservation, now: ContinuousClock.Instant) -> [KVBlockID]? {
    advance(now: now)
    grants[id]?.isFilling = true
    return grants[id]?.blocks
  }

  /// The KV is there, and is kept for a reader.
  /// - Precondition: `fill` gave the blocks.
  package mutating func store(_ id: Reservation, as key: PromptKey, tokens: Int, now: ContinuousClock.Instant) {
    let grant = grants.removeValue(forKey: id)!
    precondition(grant.isFilling)
    if stored[key] != nil {
      // The same prompt came twice at once.
      free += grant.blocks
      stored[key]!.deadline = now + limits.unread
    } else {
      stored[key] = Stored(blocks: grant.blocks, tokens: tokens, deadline: now + limits.unread, lastUse: now)
    }
    advance(now: now)
  }

  /// Nobody writes any more, and nothing useful is there.
  package mutating func fail(_ id: Reservation, now: ContinuousClock.Instant) {
    free += grants.removeValue(forKey: id)?.blocks ?? []
    advance(now: now)
  }

  /// The sender has gone, or waits no longer. While somebody writes, nothing happens: `store` or `fail` follows.
  package mutating func cancel(_ id: Reservation, now: ContinuousClock.Instant) {
    queue.removeAll { $0.id == id }
    if grants[id]?.isFilling == false { free += grants.removeValue(forKey: id)!.blocks }
    advance(now: now)
  }

  // MARK: A reader

  /// The prompt's KV, which stays until `finish`; nil if it is not here.
  package mutating func claim(_ key: PromptKey, now: ContinuousClock.Instant) -> (reader: Reader, stored: Stored)? {
    guard stored[key] != nil else { return nil }
    lastNumber += 1
    stored[key]!.readers += 1
    stored[key]!.lastUse = now
    readers[lastNumber] = key
    return (lastNumber, stored[key]!)
  }

  /// - Parameter hasRead: It needs the KV no more; else it is kept for another.
  package mutating func finish(_ reader: Reader, hasRead: Bool, now: ContinuousClock.Instant) {
    guard let key = readers.removeValue(forKey: reader) else { return }
    stored[key]!.readers -= 1
    stored[key]!.lastUse = now
    stored[key]!.deadline = hasRead ? now : now + limits.unread
    if hasRead { stored[key]!.wasRead = true }
    advance(now: now)
  }

  // MARK: Room

  /// Ends grants that have run out, and serves who waits, in order.
  package mutating func advance(now: ContinuousClock.Instant) {
    for (id, grant) in grants where !grant.isFilling && grant.deadline <= now {
      free += grant.blocks
      grants[id] = nil
    }
    while let first = queue.first, makeRoom(first.blocks, now: now) {
      queue.removeFirst()
      let blocks = Array(free.suffix(first.blocks))
      free.removeLast(first.blocks)
      grants[first.id] = Grant(blocks: blocks, deadline: now + limits.grant)
    }
  }

  /// Evicts what was used longest ago, and only if that is enough.
  private mutating func makeRoom(_ blocks: Int, now: ContinuousClock.Instant) -> Bool {
    guard free.count < blocks else { return true }
    var victims = stored.filter { $0.value.readers == 0 && $0.value.deadline <= now }
      .sorted { $0.value.lastUse < $1.value.lastUse }[...]
    guard free.count + victims.reduce(0, { $0 + $1.value.blocks.count }) >= blocks else { return false }
    while free.count < blocks, let victim = victims.popFirst() {
      stored[victim.key] = nil
      free += victim.value.blocks
      if victim.value.wasRead { evicted.read += 1 } else { evicted.unread += 1 }
    }
    return true
  }
}
