/// How much work the proxy takes on. The defaults are bounds against running out of memory, not against load: the
/// engines have queues of their own.
package struct AdmissionLimits: Sendable, Equatable {
  /// Requests that the workers have at once; one more waits.
  package var concurrent = 4096
  /// Of these, the ones whose prefill leg has not ended; nil: no limit of its own.
  package var prefilling: Int?
  /// Requests that wait.
  package var queued = 1024
  /// Bytes of their bodies.
  package var queuedBytes = 256 * 1024 * 1024
  /// Requests of one client, running and waiting; nil: no quota.
  package var perClient: Int?
  /// How long a request may wait.
  package var queueTime = Duration.seconds(60)
  /// A request that will see its first token later than this is refused at once; a request's own header goes first.
  package var timeToFirstToken: Duration?

  package init() {}
}

/// Why a request was not taken on; a closed set, for a metric's label.
package enum Rejection: String, Sendable, CaseIterable {
  /// Too many requests wait.
  case queueFull = "queue_full"
  /// Too many bytes wait.
  case queueBytes = "queue_bytes"
  /// It waited too long, or a request of a higher priority took its place.
  case queueTime = "queue_time"
  case displaced
  /// It would have come too late.
  case tooLate = "ttft_slo"
  /// The client has as many requests as it may have.
  case quota
}
