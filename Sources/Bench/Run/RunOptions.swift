import NIOCore
import ServingAPI
import Tokenization

/// How a workload is sent.
package struct RunOptions: Sendable {
  package var arrivals = ArrivalProcess.allAtOnce
  /// How many may be on their way at once; the others wait at the client.
  package var maxConcurrency: Int?
  /// From sending to the answer's end. Looked at ten times a second.
  package var requestTimeout: TimeAmount = .hours(6)
  /// Fields for every body: sampling parameters, and what the user adds.
  package var extraBody = BodyValue.Fields()
  package var requestIDPrefix = "bench-"
  /// Rolls gaps, clients that leave and clients that read slowly.
  package var seed: UInt64 = 0
  /// The share of clients that leave before their answer has ended.
  package var cancellationRate = 0.0
  /// The share of clients that read 10 kB/s at most.
  package var slowReaderRate = 0.0
  /// Whether records keep what was generated.
  package var keepsText = false
  /// Counts the output of servers that do not tell `usage`.
  package var tokenizer: Tokenizer?

  package init() {}
}

/// What happens in a run.
package enum RunEvent: Sendable {
  case record(RequestRecord)
  case progress(RunProgress)
  case ended
}

package struct RunProgress: Sendable, Equatable {
  /// Since the run's start.
  package var seconds: Double
  package var sent: Int
  package var inFlight: Int
}
