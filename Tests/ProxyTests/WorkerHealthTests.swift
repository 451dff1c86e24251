import NIOCore
import Proxy
import Testing

@Suite struct WorkerHealthTests {
  private let start = NIODeadline.now()

  @Test func `A new worker is eligible and unconfirmed`() {
    let health = WorkerHealth()
    #expect(health.isEligible(now: start) && health.fault == nil && !health.isConfirmed)
  }

  @Test(
    arguments: [(.unreachable, 100), (.failing, 100), (.stalled, 2_000)] as [(WorkerHealth.Fault, Int64)])
  func `A worker is left alone for longer each time that it fails again`(fault: WorkerHealth.Fault, pause: Int64) {
    var health = WorkerHealth()
    var now = start
    for doublings in 0..<4 {
      health.legFailed(fault, now: now)
      now = now + .milliseconds(pause << Int64(doublings))
      #expect(!health.isEligible(now: now - .milliseconds(1)) && health.isEligible(now: now))
    }
  }

  @Test(
    arguments: [(.unreachable, 5_000), (.failing, 5_000), (.stalled, 60_000)] as [(WorkerHealth.Fault, Int64)])
  func `The pause has an end`(fault: WorkerHealth.Fault, longest: Int64) {
    var health = WorkerHealth()
    var now = start
    for _ in 0..<100 {
      health.legFailed(fault, now: now)
      now = now + .milliseconds(longest)
      #expect(health.isEligible(now: now))
    }
  }

  @Test func `Legs that fail while a worker is down tell nothing new`() {
    var health = WorkerHealth()
    health.legFailed(.failing, now: start)
    let before = health
    health.legFailed(.stalled, now: start + .milliseconds(99))
    #expect(health == before)
  }

  @Test(arguments: [(.unreachable, true), (.failing, false), (.stalled, false)] as [(WorkerHealth.Fault, Bool)])
  func `A passed check brings back only who could not be reached, an answer everyone`(
    fault: WorkerHealth.Fault, isBack: Bool
  ) {
    var health = WorkerHealth()
    health.legFailed(fault, now: start)
    health.checkPassed()
    #expect((health.fault == nil) == isBack && health.isConfirmed)
    health.legAnswered()
    #expect(health.fault == nil)
  }

  @Test func `A refused check is a fault at once`() {
    var health = WorkerHealth()
    health.checkPassed()
    health.checkFailed(refused: true, limit: 3, now: start)
    #expect(health.fault == .unreachable && !health.isConfirmed)
  }

  @Test func `Failed checks in a row make a worker unhealthy until one passes`() {
    var health = WorkerHealth()
    for _ in 0..<2 { health.checkFailed(refused: false, limit: 3, now: start) }
    health.checkPassed()
    for _ in 0..<2 { health.checkFailed(refused: false, limit: 3, now: start) }
    #expect(health.fault == nil)
    health.checkFailed(refused: false, limit: 3, now: start)
    #expect(health.fault == .unhealthy && !health.isEligible(now: start + .hours(24)))
    health.legAnswered()
    health.legFailed(.failing, now: start)
    #expect(health.fault == .unhealthy)
    health.checkPassed()
    #expect(health.fault == nil && health.isEligible(now: start))
  }
}
