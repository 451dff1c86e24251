import Glibc

/// Messages from any thread to the step loop, which sleeps here when it has nothing to do.
//
// SAFETY: `messages` and `isClosed` are touched only while `mutex` is locked; the two pointers never change.
final class Mailbox<Message: Sendable>: @unchecked Sendable {
  enum Wait {
    case no
    /// Until there is a message, and at most until the deadline, if there is one.
    case forMessage(deadline: ContinuousClock.Instant?)
  }

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let arrived: UnsafeMutablePointer<pthread_cond_t>
  private var messages: [Message] = []
  private var isClosed = false

  init() {
    mutex = .allocate(capacity: 1)
    arrived = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(arrived, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(arrived)
    pthread_mutex_destroy(mutex)
    arrived.deallocate()
    mutex.deallocate()
  }

  /// - Returns: False if the loop has ended: nobody will read the message.
  @discardableResult
  func post(_ message: Message) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed else { return false }
    messages.append(message)
    pthread_cond_signal(arrived)
    return true
  }

  /// Moves all messages to the end of `buffer`, oldest first. Called by one thread only.
  func take(into buffer: inout [Message], wait: Wait) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if case .forMessage(let deadline) = wait { sleep(until: deadline) }
    buffer.append(contentsOf: messages)
    messages.removeAll(keepingCapacity: true)
  }

  /// No message is accepted from now on.
  /// - Returns: Those that nobody took.
  func close() -> [Message] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    isClosed = true
    defer { messages = [] }
    return messages
  }

  private func sleep(until deadline: ContinuousClock.Instant?) {
    guard let deadline else {
      while messages.isEmpty { pthread_cond_wait(arrived, mutex) }
      return
    }
    while messages.isEmpty {
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { return }
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      let nanoseconds = time.tv_nsec + Int(left.components.attoseconds / 1_000_000_000)
      // A day at most, so that no deadline overflows; the loop above looks again.
      time.tv_sec += Int(min(left.components.seconds, 86_400)) + nanoseconds / 1_000_000_000
      time.tv_nsec = nanoseconds % 1_000_000_000
      pthread_cond_timedwait(arrived, mutex, &time)
    }
  }
}
