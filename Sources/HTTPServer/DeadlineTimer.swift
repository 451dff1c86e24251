import NIOCore

/// One movable deadline on an event loop that costs nothing to move later: at most one task is scheduled, and it
/// looks at the deadline when it wakes. Belongs to its event loop; not Sendable.
package final class DeadlineTimer {
  private let eventLoop: any EventLoop
  private let onExpiry: () -> Void
  private var deadline: NIODeadline?
  private var wakeUp: (at: NIODeadline, task: Scheduled<Void>)?

  package init(eventLoop: any EventLoop, onExpiry: @escaping () -> Void) {
    self.eventLoop = eventLoop
    self.onExpiry = onExpiry
  }

  package func set(_ deadline: NIODeadline) {
    self.deadline = deadline
    if let wakeUp, wakeUp.at <= deadline { return }
    schedule(deadline)
  }

  /// The task stays scheduled, and finds nothing to do.
  package func clear() { deadline = nil }

  /// To be called before the last reference goes, else the timer lives until its task wakes.
  package func cancel() {
    deadline = nil
    wakeUp?.task.cancel()
    wakeUp = nil
  }

  private func schedule(_ deadline: NIODeadline) {
    wakeUp?.task.cancel()
    let task = eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(deadline: deadline) { self.wake() }
    wakeUp = (deadline, task)
  }

  private func wake() {
    wakeUp = nil
    guard let deadline else { return }
    if deadline > .now() { return schedule(deadline) }
    self.deadline = nil
    onExpiry()
  }
}
