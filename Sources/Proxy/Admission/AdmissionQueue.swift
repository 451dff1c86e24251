import NIOCore

/// Decides which request runs next, as a value: arrivals and ends in, places out. It holds no body, socket or clock.
///
/// A request that runs has a place among all, and one among those that prefill until its prefill leg has ended. It waits
/// until both are free; who needs no prefiller passes those that wait for one.
///
/// Lower priorities go first. Within a priority clients share by start-time fair queuing (Goyal, Vin & Cheng 1997): a
/// client's requests start one service apart in virtual time, so that whoever sends a thousand waits behind himself.
package struct AdmissionQueue: Sendable {
  package struct Ticket: Sendable, Equatable {
    /// Unique; later arrivals have higher ones.
    package var id: UInt64
    /// Lower is served first.
    package var priority: Int
    /// A hash of who asks.
    package var client: Int
    package var bytes: Int
    /// Whether it begins with a prefill leg.
    package var prefills: Bool
    /// When waiting has no use any more.
    package var deadline: NIODeadline

    package init(
      id: UInt64, priority: Int = 0, client: Int = 0, bytes: Int = 0, prefills: Bool = false, deadline: NIODeadline
    ) {
      self.id = id
      self.priority = priority
      self.client = client
      self.bytes = bytes
      self.prefills = prefills
      self.deadline = deadline
    }
  }

  package enum Verdict: Sendable, Equatable {
    case runs
    /// - Parameter displaced: The request that lost its place in a full queue, if one did.
    case waits(displaced: Ticket?)
    case refused(Rejection)
  }

  private struct Place: Sendable {
    var ticket: Ticket
    var start: UInt64

    /// Whether it is served before `other`.
    func precedes(_ other: Place) -> Bool {
      (ticket.priority, start, ticket.id) < (other.ticket.priority, other.start, other.ticket.id)
    }
  }

  package let limits: AdmissionLimits
  package private(set) var running = 0
  package private(set) var prefilling = 0
  package private(set) var queuedBytes = 0
  /// The next to be served is the last.
  private var places: [Place] = []
  private var virtualTime: UInt64 = 0
  /// When in virtual time a client's newest request is served; only of clients that are ahead of it.
  private var finish: [Int: UInt64] = [:]
  /// Of each client, running and waiting; kept only if there is a quota.
  private var counts: [Int: Int] = [:]

  package init(_ limits: AdmissionLimits) { self.limits = limits }

  package var queued: Int { places.count }

  package mutating func arrive(_ ticket: Ticket) -> Verdict {
    if let quota = limits.perClient, counts[ticket.client, default: 0] >= quota { return .refused(.quota) }
    // Those that wait have no room: whoever has some passes none that could run.
    if hasRoom(for: ticket) {
      begin(ticket)
      count(ticket.client, 1)
      return .runs
    }
    guard queuedBytes + ticket.bytes <= limits.queuedBytes else { return .refused(.queueBytes) }
    var displaced: Ticket?
    if places.count >= limits.queued {
      guard let last = places.first, last.ticket.priority > ticket.priority else { return .refused(.queueFull) }
      displaced = remove(at: 0)
    }
    enqueue(ticket)
    return .waits(displaced: displaced)
  }

  /// The prefill leg of a request that runs has ended, or there is none after all.
  ///
  /// - Returns: Those that run from now on.
  package mutating func prefilled() -> [Ticket] {
    prefilling -= 1
    return next()
  }

  /// A request that ran has ended.
  ///
  /// - Parameter prefills: Whether its prefill leg had not ended.
  /// - Returns: Those that run from now on.
  package mutating func ended(client: Int, prefills: Bool = false) -> [Ticket] {
    running -= 1
    if prefills { prefilling -= 1 }
    count(client, -1)
    return next()
  }

  /// The client left, if its request still waits.
  package mutating func withdraw(_ id: UInt64) -> Bool {
    guard let index = places.firstIndex(where: { $0.ticket.id == id }) else { return false }
    _ = remove(at: index)
    return true
  }

  /// - Returns: Those that have waited too long.
  package mutating func expire(now: NIODeadline) -> [Ticket] {
    var expired: [Ticket] = []
    for index in places.indices.reversed() where places[index].ticket.deadline <= now {
      expired.append(remove(at: index))
    }
    return expired
  }

  private func hasRoom(for ticket: Ticket) -> Bool {
    guard running < limits.concurrent else { return false }
    guard ticket.prefills, let limit = limits.prefilling else { return true }
    return prefilling < limit
  }

  private mutating func begin(_ ticket: Ticket) {
    running += 1
    if ticket.prefills { prefilling += 1 }
  }

  private mutating func next() -> [Ticket] {
    var next: [Ticket] = []
    while running < limits.concurrent, let index = places.lastIndex(where: { hasRoom(for: $0.ticket) }) {
      let place = places.remove(at: index)
      begin(place.ticket)
      queuedBytes -= place.ticket.bytes
      virtualTime = max(virtualTime, place.start)
      next.append(place.ticket)
    }
    if places.isEmpty {
      finish = [:]
      virtualTime = 0
    }
    return next
  }

  private mutating func enqueue(_ ticket: Ticket) {
    let start = max(virtualTime, finish[ticket.client] ?? 0)
    // Clients that are not ahead need no memory; a flood of new names finds the table bounded by the queue.
    if finish.count > 2 * limits.queued { finish = finish.filter { $0.value > virtualTime } }
    finish[ticket.client] = start + 1
    let place = Place(ticket: ticket, start: start)
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if place.precedes(places[middle]) { low = middle + 1 } else { high = middle }
    }
    places.insert(place, at: low)
    queuedBytes += ticket.bytes
    count(ticket.client, 1)
  }

  private mutating func remove(at index: Int) -> Ticket {
    let ticket = places.remove(at: index).ticket
    queuedBytes -= ticket.bytes
    count(ticket.client, -1)
    return ticket
  }

  private mutating func count(_ client: Int, _ change: Int) {
    guard limits.perClient != nil else { return }
    let count = counts[client, default: 0] + change
    counts[client] = count > 0 ? count : nil
  }
}
