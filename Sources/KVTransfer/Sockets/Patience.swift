/// How long blocking calls may wait: each for `stall` at most without progress, all together until `end`.
struct Patience {
  let stall: Duration
  let whole: Duration
  let end: ContinuousClock.Instant

  init(stall: Duration, whole: Duration, from start: ContinuousClock.Instant = .now) {
    self.stall = stall
    self.whole = whole
    self.end = start + whole
  }

  /// The first of both, for a wait that begins now.
  var next: (deadline: ContinuousClock.Instant, after: Duration) {
    let stalled = ContinuousClock.now + stall
    return stalled < end ? (stalled, stall) : (end, whole)
  }
}
