import NIOCore
import ServingAPI
import Synchronization

/// The one `AdmissionQueue` of a proxy, for the requests of all its event loops. A `Mutex` guards it; whoever waits is
/// told on its own event loop, never under the lock.
final class Admission: Sendable {
  enum Answer {
    /// The place must be left once when the request has ended.
    case runs(Place)
    case refused(Rejection, retryAfter: Int)
  }

  /// What admission must know of a request.
  struct Applicant: Sendable {
    var priority = 0
    var client = 0
    var bytes = 0
    /// Whether it begins with a prefill leg, as far as can be said before it has a route.
    var prefills = false
    /// What its first token may take from now on, if its client says so.
    var timeToFirstToken: TimeAmount?
  }

  /// Of one request that runs. Belongs to its event loop.
  final class Place {
    private let admission: Admission
    private let client: Int
    private var prefills: Bool

    fileprivate init(_ admission: Admission, _ applicant: Applicant) {
      self.admission = admission
      client = applicant.client
      prefills = applicant.prefills
    }

    /// The prefill leg has ended, or there will be none; more than one call is as good as one.
    func prefilled() {
      guard prefills else { return }
      prefills = false
      admission.change(now: .now()) { $0.prefilled() }
    }

    /// The request has ended. Called once.
    func leave() {
      admission.change(now: .now()) { [client, prefills] in $0.ended(client: client, prefills: prefills) }
    }
  }

  struct Waiter: Sendable {
    let eventLoop: any EventLoop
    let applicant: Applicant
    let answer: @Sendable (Answer) -> Void
  }

  struct Snapshot: Sendable, Equatable {
    var running: Int
    var prefilling: Int
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
        running: $0.queue.running, prefilling: $0.queue.prefilling, queued: $0.queue.queued,
        queuedBytes: $0.queue.queuedBytes,
        expectedTimeToFirstToken: $0.forecast.timeToFirstToken(ahead: $0.queue.queued))
    }
  }

  func show(in registry: PrometheusRegistry) {
    registry.gauge("xpyd:proxy_requests_running", help: "Requests that the workers have.") { [self] in
      Double(snapshot.running)
    }
    registry.gauge("xpyd:proxy_requests_prefilling", help: "Of these, the ones whose prefill has not ended.") {
      [self] in Double(snapshot.prefilling)
    }
    registry.gauge("xpyd:proxy_requests_queued", help: "Requests that wait for their turn.") { [self] in
      Double(snapshot.queued)
    }
    registry.gauge("xpyd:proxy_queued_bytes", help: "Bytes of the requests that wait.") { [self] in
      Double(snapshot.queuedBytes)
    }
  }

  /// - Parameter waiter: Told later, once, if the answer is nil, unless the request is withdrawn before.
  /// - Returns: The answer if it is there at once, and what the request waits as if it is not.
  func enter(_ waiter: Waiter, now: NIODeadline) -> (answer: Answer?, ticket: UInt64) {
    let applicant = waiter.applicant
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
        prefills: applicant.prefills, deadline: now + TimeAmount(limits.queueTime))
      let verdict = state.queue.arrive(ticket)
      guard case .waits(let displaced) = verdict else { return (verdict, id, nil) }
      state.waiters[id] = waiter
      return (verdict, id, displaced.flatMap { state.waiters.removeValue(forKey: $0.id) })
    }
    if let dropped { refuse(dropped, .displaced) }
    switch verdict {
    case .runs: return (.runs(Place(self, applicant)), id)
    case .waits: return (nil, id)
    case .refused(let reason): return (refused(reason), id)
    }
  }

  /// - Parameter change: Returns the requests that run from now on.
  private func change(now: NIODeadline, _ change: @Sendable (inout AdmissionQueue) -> [AdmissionQueue.Ticket]) {
    let admitted = state.withLock { state in
      let tickets = change(&state.queue)
      for _ in tickets { state.forecast.admittedFromQueue(now: now) }
      if state.queue.queued == 0 { state.forecast.queueDrained() }
      return tickets.compactMap { state.waiters.removeValue(forKey: $0.id) }
    }
    for waiter in admitted {
      waiter.eventLoop.execute { [self] in waiter.answer(.runs(Place(self, waiter.applicant))) }
    }
  }

  /// The client of a waiting request left.
  ///
  /// - Returns: Whether it still waited; if not, its answer is on its way or there.
  func withdraw(_ ticket: UInt64) -> Bool {
    state.withLock { state in
      guard state.queue.withdraw(ticket) else { return false }
      state.waiters[ticket] = nil
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
    for waiter in expired { refuse(waiter, .queueTime) }
  }

  private func refuse(_ waiter: Waiter, _ reason: Rejection) {
    waiter.eventLoop.execute { [self] in waiter.answer(refused(reason)) }
  }

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
