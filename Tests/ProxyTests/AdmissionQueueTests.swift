import NIOCore
import Proxy
import Testing

@Suite struct AdmissionQueueTests {
  private static let start = NIODeadline.now()

  private static func limits(_ change: (inout AdmissionLimits) -> Void) -> AdmissionLimits {
    var limits = AdmissionLimits()
    limits.concurrent = 1
    change(&limits)
    return limits
  }

  private static func ticket(
    _ id: UInt64, priority: Int = 0, client: Int = 0, bytes: Int = 1, prefills: Bool = false
  ) -> AdmissionQueue.Ticket {
    AdmissionQueue.Ticket(
      id: id, priority: priority, client: client, bytes: bytes, prefills: prefills,
      deadline: start + .seconds(Int64(id)))
  }

  /// The order in which requests that all wait are served.
  private static func order(_ queue: inout AdmissionQueue) -> [UInt64] {
    var order: [UInt64] = []
    var client = 0
    while let next = queue.ended(client: client).first {
      order.append(next.id)
      client = next.client
    }
    return order
  }

  @Test func `Up to the limit requests run at once, one more waits and runs when one has ended`() {
    var queue = AdmissionQueue(Self.limits { $0.concurrent = 2 })
    #expect(queue.arrive(Self.ticket(1)) == .runs)
    #expect(queue.arrive(Self.ticket(2)) == .runs)
    #expect(queue.arrive(Self.ticket(3)) == .waits(displaced: nil))
    #expect(queue.running == 2 && queue.queued == 1 && queue.queuedBytes == 1)
    #expect(queue.ended(client: 0).map(\.id) == [3])
    #expect(queue.running == 2 && queue.queued == 0 && queue.queuedBytes == 0)
  }

  @Test func `A prefill leg has a limit of its own, and its end makes room for the next`() {
    var queue = AdmissionQueue(
      Self.limits {
        $0.concurrent = 3
        $0.prefilling = 1
      })
    #expect(queue.arrive(Self.ticket(1, prefills: true)) == .runs)
    for id in 2...4 as ClosedRange<UInt64> {
      #expect(queue.arrive(Self.ticket(id, prefills: true)) == .waits(displaced: nil))
    }
    #expect(queue.arrive(Self.ticket(5)) == .runs)
    #expect(queue.prefilled().map(\.id) == [2])
    #expect(queue.running == 3 && queue.prefilling == 1 && queue.queued == 2)
    // A prefill place without one among all is of no use.
    #expect(queue.prefilled().isEmpty)
    #expect(queue.ended(client: 0).map(\.id) == [3])
    #expect(queue.ended(client: 0, prefills: true).map(\.id) == [4])
    #expect(queue.running == 3 && queue.prefilling == 1)
  }

  @Test func `Whoever needs no prefiller passes those that wait for one, in the order of its own kind`() {
    var queue = AdmissionQueue(
      Self.limits {
        $0.concurrent = 2
        $0.prefilling = 1
      })
    _ = queue.arrive(Self.ticket(1, prefills: true))
    _ = queue.arrive(Self.ticket(2))
    _ = queue.arrive(Self.ticket(3, prefills: true))
    for id in 4...5 as ClosedRange<UInt64> {
      #expect(queue.arrive(Self.ticket(id, client: Int(id))) == .waits(displaced: nil))
    }
    #expect(queue.ended(client: 0).map(\.id) == [4])
    #expect(queue.ended(client: 4).map(\.id) == [5])
    #expect(queue.ended(client: 0, prefills: true).map(\.id) == [3])
  }

  @Test func `Lower priorities are served first, equals in the order of arrival`() {
    var queue = AdmissionQueue(Self.limits { _ in })
    _ = queue.arrive(Self.ticket(1))
    // One client each: fairness is another test's.
    for (id, priority) in [(2, 5), (3, 0), (4, -1), (5, 0), (6, 5)] as [(UInt64, Int)] {
      _ = queue.arrive(Self.ticket(id, priority: priority, client: Int(id)))
    }
    #expect(Self.order(&queue) == [4, 3, 5, 2, 6])
  }

  @Test func `A client that sends many requests waits behind itself`() {
    var queue = AdmissionQueue(Self.limits { _ in })
    _ = queue.arrive(Self.ticket(1, client: 9))
    for id in 2...5 as ClosedRange<UInt64> { _ = queue.arrive(Self.ticket(id, client: 1)) }
    _ = queue.arrive(Self.ticket(6, client: 2))
    _ = queue.arrive(Self.ticket(7, client: 2))
    #expect(Self.order(&queue) == [2, 6, 3, 7, 4, 5])
  }

  @Test func `Who comes late is not owed the turns that he did not want`() {
    var queue = AdmissionQueue(Self.limits { _ in })
    _ = queue.arrive(Self.ticket(1, client: 9))
    for id in 2...5 as ClosedRange<UInt64> { _ = queue.arrive(Self.ticket(id, client: 1)) }
    _ = queue.ended(client: 9)
    _ = queue.ended(client: 1)
    for id in 6...8 as ClosedRange<UInt64> { _ = queue.arrive(Self.ticket(id, client: 2)) }
    #expect(Self.order(&queue) == [6, 4, 7, 5, 8])
  }

  @Test func `A full queue refuses, by number and by bytes`() {
    var queue = AdmissionQueue(
      Self.limits {
        $0.queued = 2
        $0.queuedBytes = 10
      })
    _ = queue.arrive(Self.ticket(1, bytes: 100))
    #expect(queue.arrive(Self.ticket(2, bytes: 4)) == .waits(displaced: nil))
    #expect(queue.arrive(Self.ticket(3, bytes: 7)) == .refused(.queueBytes))
    #expect(queue.arrive(Self.ticket(4, bytes: 6)) == .waits(displaced: nil))
    #expect(queue.arrive(Self.ticket(5, bytes: 0)) == .refused(.queueFull))
  }

  @Test func `A full queue gives the last place of a lower priority to a higher one`() {
    var queue = AdmissionQueue(Self.limits { $0.queued = 2 })
    _ = queue.arrive(Self.ticket(1))
    _ = queue.arrive(Self.ticket(2, priority: 1))
    _ = queue.arrive(Self.ticket(3, priority: 1))
    #expect(queue.arrive(Self.ticket(4, priority: 1)) == .refused(.queueFull))
    #expect(queue.arrive(Self.ticket(5, priority: 0)) == .waits(displaced: Self.ticket(3, priority: 1)))
    #expect(Self.order(&queue) == [5, 2])
  }

  @Test func `A quota counts what runs and what waits, and nobody else's`() {
    var queue = AdmissionQueue(Self.limits { $0.perClient = 2 })
    _ = queue.arrive(Self.ticket(1, client: 1))
    _ = queue.arrive(Self.ticket(2, client: 1))
    #expect(queue.arrive(Self.ticket(3, client: 1)) == .refused(.quota))
    #expect(queue.arrive(Self.ticket(4, client: 2)) == .waits(displaced: nil))
    _ = queue.ended(client: 1)
    #expect(queue.arrive(Self.ticket(5, client: 1)) == .waits(displaced: nil))
    #expect(queue.withdraw(5) == true)
    #expect(queue.arrive(Self.ticket(6, client: 1)) == .waits(displaced: nil))
  }

  @Test func `Who left and who waited too long is gone from the queue`() {
    var queue = AdmissionQueue(Self.limits { _ in })
    for id in 1...4 as ClosedRange<UInt64> { _ = queue.arrive(Self.ticket(id, client: Int(id))) }
    #expect(queue.withdraw(3) && !queue.withdraw(3) && !queue.withdraw(1))
    #expect(queue.expire(now: Self.start + .seconds(2)).map(\.id) == [2])
    #expect(queue.queuedBytes == 1)
    #expect(Self.order(&queue) == [4])
    #expect(queue.running == 0)
  }
}

@Suite struct TTFTForecastTests {
  private static let start = NIODeadline.now()

  @Test func `Without news nobody is late`() {
    var forecast = TTFTForecast()
    #expect(forecast.lateness(ahead: 1000, limit: .nanoseconds(1), now: Self.start) == nil)
  }

  @Test func `The guess is the service time, and a turn's time for each request ahead`() {
    var forecast = TTFTForecast()
    forecast.firstToken(after: .seconds(2), now: Self.start)
    for second in 0...3 as ClosedRange<Int64> { forecast.admittedFromQueue(now: Self.start + .seconds(second)) }
    #expect(forecast.timeToFirstToken(ahead: 3) == 5)
    #expect(forecast.lateness(ahead: 3, limit: .seconds(5), now: Self.start) == nil)
    #expect(forecast.lateness(ahead: 3, limit: .seconds(4), now: Self.start) == .seconds(1))
  }

  @Test func `An idle time is no turn's time`() {
    var forecast = TTFTForecast()
    forecast.firstToken(after: .seconds(1), now: Self.start)
    forecast.admittedFromQueue(now: Self.start)
    forecast.queueDrained()
    forecast.admittedFromQueue(now: Self.start + .hours(1))
    #expect(forecast.timeToFirstToken(ahead: 5) == 1)
  }

  @Test func `A guess without news lets one request through to bring some`() {
    var forecast = TTFTForecast()
    forecast.firstToken(after: .seconds(10), now: Self.start)
    #expect(forecast.lateness(ahead: 0, limit: .seconds(1), now: Self.start + .seconds(9)) != nil)
    #expect(forecast.lateness(ahead: 0, limit: .seconds(1), now: Self.start + .seconds(10)) == nil)
    #expect(forecast.lateness(ahead: 0, limit: .seconds(1), now: Self.start + .seconds(11)) != nil)
    forecast.firstToken(after: .zero, now: Self.start + .seconds(11))
    #expect((forecast.timeToFirstToken(ahead: 0) ?? 0) < 10)
  }
}
