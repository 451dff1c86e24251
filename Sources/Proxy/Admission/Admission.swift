import NIOCore
import ServingAPI
import Synchronization

/// The one `AdmissionQueue` of a proxy, for the requests of all its event loops. A `Mutex` guards it; whoever waits is
/// told on its own event loop, never under the lock.
final class Admission: Sendable {
  enum Answer: Sendable {
    /// `leave` must be called once when the request has ended.
    case runs
    case refused(Rejection, retryAfter: Int)
  }

  /// What admission must know of a request.
  struct Applicant: Sendable {
    var priority = 0
    var client = 0
    var bytes = 0
    /// What its first token may take from now on, if its client says so.
    var timeToFirstToken: TimeAmount?
  }

  struct Waiter: Sendable {
    let eventLoop: any EventLoop
    let answer: @Sendable (Answer) -> Void
  }

  struct Snapshot: Sendable, Equatable {
    var running: Int
    var queued: Int
    var queuedBytes: Int
    /// Of a request that comes now, in seconds; nil if nothing is known.
    var expectedTimeToFirstToken: Double?
  }

  private struct State {
    var queue: AdmissionQueue
    var forecast = TTFTForecast()
    var waiters: [UInt64: Waiter] = [:]
    var nextID: UInt64 = 0
  }

  let limits: AdmissionLimits
  private let metrics: RequestMetrics
  private let state: Mutex<State>

  init(_ limits: AdmissionLimits, metrics: RequestMetrics) {
    self.limits = limits
    self.metrics = metrics
    state = Mutex(State(queue: AdmissionQueue(limits)))
  }

  var snapshot: Snapshot {
    state.withLock {
      Snapshot(
        running: $0.queue.running, queued: $0.queue.queued, queuedBytes: $0.queue.queuedBytes,
        expectedTimeToFirstToken: $0.forecast.timeToFirstToken(ahead: $0.queue.queued))
    }
  }

  func show(in registry: PrometheusRegistry) {
    registry.gauge("xpyd:proxy_requests_running", help: "Requests that the workers have.") { [self] in
      Double(snapshot.running)
    }
    registry.gauge("xpyd:proxy_requests_queued", help: "Requests that wait for their turn.") { [self] in
      Double(snapshot.queued)
    }
    registry.gauge("xpyd:proxy_queued_bytes", help: "Bytes of the requests that wait.") { [self] in
      Double(snapshot.queuedBytes)
    }
  }

  /// - Parameter waiter: Told later, once, if the answer is nil, unless the request is withdrawn before.
  /// - Returns: The answer if it is there at once, and the place in the queue if it is not.
  func enter(_ applicant: Applicant, now: NIODeadline, waiter: Waiter) -> (answer: Answer?, place: UInt64) {
    let (verdict, id, dropped) = state.withLock { state -> (AdmissionQueue.Verdict, UInt64, Waiter?) in
      state.nextID += 1
      let id = state.nextID
      if let limit = applicant.timeToFirstToken ?? limits.timeToFirstToken.map({ TimeAmount($0) }),
        state.forecast.lateness(ahead: state.queue.queued, limit: limit, now: now) != nil
      {
        return (.refused(.tooLate), id, nil)
      }
      let ticket = AdmissionQueue.Ticket(
        id: id, priority: applicant.priority, client: applicant.client, bytes: applicant.bytes,
        deadline: now + TimeAmount(limits.queueTime))
      let verdict = state.queue.arrive(ticket)
      guard case .waits(let displaced) = verdict else { return (verdict, id, nil) }
      state.waiters[id] = waiter
      return (verdict, id, displaced.flatMap { state.waiters.removeValue(forKey: $0.id) })
    }
    if let dropped { tell(dropped, refused(.displaced)) }
    switch verdict {
    case .runs: return (.runs, id)
    case .waits: return (nil, id)
    case .refused(let reason): return (refused(reason), id)
    }
  }

  /// A request that ran has ended.
  func leave(client: Int, now: NIODeadline) {
    let admitted = state.withLock { state in
      let tickets = state.queue.ended(client: client)
      for _ in tickets { state.forecast.admittedFromQueue(now: now) }
      if state.queue.queued == 0 { state.forecast.queueDrained() }
      return tickets.compactMap { state.waiters.removeValue(forKey: $0.id) }
    }
    for waiter in admitted { tell(waiter, .runs) }
  }

  /// The client of a waiting request left.
  ///
  /// - Returns: Whether it still waited; if not, its answer is on its way or there.
  func withdraw(_ place: UInt64) -> Bool {
    state.withLock { state in
      guard state.queue.withdraw(place) else { return false }
      state.waiters[place] = nil
      return true
    }
  }

  func sawFirstToken(after time: TimeAmount, now: NIODeadline) {
    state.withLock { $0.forecast.firstToken(after: time, now: now) }
  }

  /// To be called now and then: ends waits that have lasted too long.
  func expire(now: NIODeadline) {
    let expired = state.withLock { state in
      state.queue.queued == 0
        ? [] : state.queue.expire(now: now).compactMap { state.waiters.removeValue(forKey: $0.id) }
    }
    for waiter in expired { tell(waiter, refused(.queueTime)) }
  }

  private func tell(_ waiter: Waiter, _ answer: Answer) { waiter.eventLoop.execute { waiter.answer(answer) } }

  private func refused(_ reason: Rejection) -> Answer {
    metrics.rejected(reason)
    return .refused(reason, retryAfter: retryAfter)
  }

  /// Seconds in which the queue will have moved, as far as that can be guessed.
  private var retryAfter: Int {
    let guess = state.withLock { $0.forecast.timeToFirstToken(ahead: $0.queue.queued) } ?? 1
    return Int(min(max(guess.rounded(.up), 1), 60))
  }
}
