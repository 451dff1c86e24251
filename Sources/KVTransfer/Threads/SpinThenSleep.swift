import Glibc

/// The wait between two looks at what nobody tells of: for a while it is looked at again at once, and then after a tenth of a
/// millisecond of sleep each time.
struct SpinThenSleep {
  private let end: ContinuousClock.Instant

  init(spinning: Duration = .microseconds(50)) { end = .now + spinning }

  /// While so many bytes move, who looks is who moves them, if no hardware does: it spins for as long as they take at
  /// 0.5 GB/s.
  init(moving bytes: Int) { self.init(spinning: .microseconds(50 + bytes / 500)) }

  mutating func wait() {
    if ContinuousClock.now < end { sched_yield() } else { usleep(100) }
  }
}
