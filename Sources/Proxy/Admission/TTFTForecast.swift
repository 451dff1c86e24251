import NIOCore

/// Guesses the time to first token of a request that comes now, from those that came before. A value; time is handed in.
///
/// A guess is the recent time from admission to first token, and for each request ahead in the queue the recent time
/// between two admissions. Without news the guess fades: one request after another is let through to make some.
package struct TTFTForecast: Sendable {
  /// The weight of the newest sample.
  private static let weight = 0.2
  private var service: Double?
  private var interval: Double?
  private var lastAdmission: NIODeadline?
  private var lastNews: NIODeadline?

  package init() {}

  package mutating func admittedFromQueue(now: NIODeadline) {
    if let lastAdmission { Self.mix(&interval, (now - lastAdmission).seconds) }
    lastAdmission = now
  }

  /// The queue is empty: the next admission tells nothing about how fast it moves.
  package mutating func queueDrained() { lastAdmission = nil }

  /// - Parameter time: From admission on.
  package mutating func firstToken(after time: TimeAmount, now: NIODeadline) {
    Self.mix(&service, time.seconds)
    lastNews = now
  }

  package func timeToFirstToken(ahead: Int) -> Double? {
    service.map { $0 + Double(ahead) * (interval ?? 0) }
  }

  /// - Parameters: ahead: requests that wait. limit: what the first token may take, from now.
  /// - Returns: The time by which the request will be late at least; nil if it is to be taken on.
  package mutating func lateness(ahead: Int, limit: TimeAmount, now: NIODeadline) -> TimeAmount? {
    guard let guess = timeToFirstToken(ahead: ahead), let lastNews, guess > limit.seconds else { return nil }
    // As long as the guess itself without news: this request shall bring some.
    if (now - lastNews).seconds >= max(1, guess) {
      self.lastNews = now
      return nil
    }
    return .nanoseconds(Int64(min(guess - limit.seconds, 1e6) * 1e9))
  }

  private static func mix(_ mean: inout Double?, _ sample: Double) {
    mean = mean.map { $0 + weight * (sample - $0) } ?? sample
  }
}

extension TimeAmount {
  var seconds: Double { Double(nanoseconds) / 1e9 }
}
