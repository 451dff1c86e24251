import ServingAPI

/// How an endpoint words what the engine gave.
protocol GenerationFormat: Sendable {
  func body(
    _ head: ResponseHead, choices: [(plan: ChoicePlan, output: ChoiceDelta)], usage: Usage, handoff: BodyValue
  ) -> BodyValue
  func events(
    _ head: ResponseHead, of choice: ChoicePlan, _ streaming: RequestOptions.Streaming
  ) -> any ChoiceEvents
  /// What a stream ends with, after all of its choices.
  func closing(_ head: ResponseHead, _ usage: Usage, _ streaming: RequestOptions.Streaming) -> [ServerSentEvent]
  /// What a stream ends with that fails after it has begun.
  func failure(_ error: APIError) -> [ServerSentEvent]
}

/// One choice's stream as it goes out: a value, fed with its deltas in order.
protocol ChoiceEvents {
  /// - Parameter tokens: Of the output so far.
  mutating func events(for delta: ChoiceDelta, tokens: Int) -> [ServerSentEvent]
}
