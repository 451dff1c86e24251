/// How long blocking calls may wait: each for `stall` at most without progress, all together until `end`.
package struct Patience {
  package let stall: Duration
  package let whole: Duration
  package let end: ContinuousClock.Instant

  package init(stall: Duration, whole: Duration, from start: ContinuousClock.Instant = .now) {
    self.stall = stall
    self.whole = whole
    self.end = start + whole
  }

  /// The first of both, for a wait that begins now.
  package var next: (deadline: ContinuousClock.Instant, after: Duration) {
    let stalled = ContinuousClock.now + stall
    return stalled < end ? (stalled, stall) : (end, whole)
  }
}
