import NIOCore
import Proxy
import Testing

@Suite struct WorkerHealthTests {
  private let start = NIODeadline.now()

  /// One leg from its start to its fault.
  private func fail(_ health: inout WorkerHealth, _ fault: WorkerHealth.Fault, at now: NIODeadline) {
    let leg = health.legStarted(now: now)
    health.legFailed(fault, leg, now: now)
    health.legFinished(leg, now: now)
  }

  private func answer(_ health: inout WorkerHealth, at now: NIODeadline) {
    let leg = health.legStarted(now: now)
    health.legAnswered(leg)
    health.legFinished(leg, now: now)
  }

  @Test func `A new worker is eligible and unconfirmed`() {
    let health = WorkerHealth()
    #expect(health.isEligible(now: start) && health.fault == nil && !health.isConfirmed)
  }

  @Test(arguments: [(.unreachable, 1), (.stalled, 1), (.failing, 3)] as [(WorkerHealth.Fault, Int)])
  func `What a worker answers counts several times in a row, silence and refusal at once`(
    fault: WorkerHealth.Fault, faults: Int
  ) {
    var health = WorkerHealth(ejectAfter: 3)
    for _ in 1..<faults { fail(&health, fault, at: start) }
    #expect(health.isEligible(now: start))
    fail(&health, fault, at: start)
    #expect(!health.isEligible(now: start) && health.fault == fault)
  }

  @Test func `An answer between two faults begins the count anew`() {
    var health = WorkerHealth(ejectAfter: 2)
    for _ in 0..<5 {
      fail(&health, .failing, at: start)
      answer(&health, at: start)
    }
    #expect(health.fault == nil)
  }

  @Test(
    arguments: [(.unreachable, 100), (.failing, 100), (.stalled, 2_000)] as [(WorkerHealth.Fault, Int64)])
  func `A worker is left alone for longer each time that it fails again`(fault: WorkerHealth.Fault, pause: Int64) {
    var health = WorkerHealth(ejectAfter: 1)
    var now = start
    for doublings in 0..<4 {
      fail(&health, fault, at: now)
      now = now + .milliseconds(pause << Int64(doublings))
      #expect(!health.isEligible(now: now - .milliseconds(1)) && health.isEligible(now: now))
    }
  }

  @Test(
    arguments: [(.unreachable, 5_000), (.failing, 5_000), (.stalled, 60_000)] as [(WorkerHealth.Fault, Int64)])
  func `The pause has an end`(fault: WorkerHealth.Fault, longest: Int64) {
    var health = WorkerHealth(ejectAfter: 1)
    var now = start
    for _ in 0..<100 {
      fail(&health, fault, at: now)
      now = now + .milliseconds(longest)
      #expect(health.isEligible(now: now))
    }
  }

  @Test func `Legs that began before a worker went down tell nothing of it afterwards`() {
    var health = WorkerHealth()
    let (old, other) = (health.legStarted(now: start), health.legStarted(now: start))
    health.legFailed(.unreachable, old, now: start)
    let before = health
    health.legFailed(.stalled, other, now: start)
    #expect(health == before)
    health.legAnswered(other)
    #expect(health.fault == .unreachable)
  }

  @Test func `After the pause one leg tries, and its end without a verdict lets the next one try`() {
    var health = WorkerHealth()
    fail(&health, .unreachable, at: start)
    let later = start + .milliseconds(100)
    let leg = health.legStarted(now: later)
    #expect(!health.isEligible(now: later) && health.fault == .unreachable)
    health.legFinished(leg, now: later)
    #expect(health.isEligible(now: later))
  }

  @Test func `A worker that comes back gets twice as many legs at once after each answer`() {
    var health = WorkerHealth()
    fail(&health, .unreachable, at: start)
    let later = start + .milliseconds(100)
    answer(&health, at: later)
    var legsAtOnce: [Int] = []
    for _ in 0..<5 {
      var legs: [WorkerHealth.Epoch] = []
      while health.isEligible(now: later), legs.count < 100 { legs.append(health.legStarted(now: later)) }
      legsAtOnce.append(legs.count)
      health.legAnswered(legs[0])
      for leg in legs { health.legFinished(leg, now: later) }
    }
    #expect(legsAtOnce == [2, 4, 8, 16, 32])
    for _ in 0..<100 { _ = health.legStarted(now: later) }
    #expect(health.isEligible(now: later))
  }

  @Test func `A worker that fails while it warms up is left alone at once, and for longer`() {
    var health = WorkerHealth(ejectAfter: 3)
    for _ in 0..<3 { fail(&health, .failing, at: start) }
    answer(&health, at: start + .milliseconds(100))
    fail(&health, .failing, at: start + .milliseconds(100))
    #expect(!health.isEligible(now: start + .milliseconds(299)) && health.isEligible(now: start + .milliseconds(300)))
  }

  @Test(
    arguments: [
      (.unreachable, true), (.failing, false), (.stalled, false), (.transfer, false),
    ] as [(WorkerHealth.Fault, Bool)])
  func `A passed check brings back only who could not be reached`(fault: WorkerHealth.Fault, isBack: Bool) {
    var health = WorkerHealth(ejectAfter: 1)
    if fault == .transfer { health.transferFailed(now: start) } else { fail(&health, fault, at: start) }
    health.checked(.passed, limit: 3, now: start)
    #expect((health.fault == nil) == isBack && health.isConfirmed && health.isEligible(now: start) == isBack)
  }

  @Test func `A refused check is a fault at once`() {
    var health = WorkerHealth()
    health.checked(.passed, limit: 3, now: start)
    health.checked(.refused, limit: 3, now: start)
    #expect(health.fault == .unreachable && !health.isConfirmed)
  }

  @Test func `Failed checks in a row make a worker unhealthy until one passes`() {
    var health = WorkerHealth()
    for _ in 0..<2 { health.checked(.failed, limit: 3, now: start) }
    health.checked(.passed, limit: 3, now: start)
    for _ in 0..<2 { health.checked(.failed, limit: 3, now: start) }
    #expect(health.fault == nil)
    health.checked(.failed, limit: 3, now: start)
    #expect(health.fault == .unhealthy && !health.isEligible(now: start + .hours(24)))
    answer(&health, at: start)
    fail(&health, .failing, at: start)
    #expect(health.fault == .unhealthy)
    health.checked(.passed, limit: 3, now: start)
    #expect(health.fault == nil && health.isEligible(now: start))
  }

  @Test func `A draining worker gets no leg from its first 503 on, and any after a passed check`() {
    var health = WorkerHealth()
    health.checked(.passed, limit: 3, now: start)
    health.checked(.draining, limit: 3, now: start)
    #expect(health.fault == .draining && !health.isEligible(now: start + .hours(24)))
    health.checked(.draining, limit: 3, now: start)
    health.checked(.refused, limit: 3, now: start)
    health.checked(.passed, limit: 3, now: start)
    #expect(health.fault == nil && health.isEligible(now: start))
  }

  @Test func `Handoffs that fail in a row take a prefiller out, whatever its prefills say`() {
    var health = WorkerHealth(ejectAfter: 2)
    health.transferFailed(now: start)
    health.transferSucceeded()
    health.transferFailed(now: start)
    answer(&health, at: start)
    #expect(health.fault == nil)
    health.transferFailed(now: start)
    #expect(health.fault == .transfer && health.isEligible(now: start + .seconds(2)))
  }
}
