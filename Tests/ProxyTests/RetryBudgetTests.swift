import HTTPTestSupport
import Proxy
import Testing

@Suite struct RetryBudgetTests {
  @Test(arguments: [(0, 3), (1, 3), (15, 3), (16, 3), (20, 4), (100, 20)])
  func `A fifth of the running requests may be retries, and three always`(active: Int, retries: Int) {
    var budget = RetryBudget()
    var granted = 0
    while budget.begin(activeRequests: active) { granted += 1 }
    #expect(granted == retries)
    budget.end()
    let again = budget.begin(activeRequests: active)
    #expect(again)
  }

  @Test(arguments: [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (1000, 250)])
  func `A retry waits twice as long each time, between half of it and all`(attempt: Int, longest: Int) {
    var dice = TestDice(seed: 1)
    let delays = (0..<200).map { _ in Backoff().delay(attempt: attempt, using: &dice) }
    let whole = Duration.milliseconds(longest)
    #expect(delays.allSatisfy { $0 >= whole / 2 && $0 <= whole })
    #expect(delays.max()! - delays.min()! > whole / 4)
  }
}
