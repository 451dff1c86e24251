import Engine
import ServingAPI

/// A request for embeddings as the engine needs it.
struct EmbeddingPlan: Sendable {
  var head: ResponseHead
  /// One per input, in order.
  var requests: [GenerationRequest]
  var encoding: EmbeddingRequest.Encoding
  /// Vectors of length 1 are wanted.
  var normalizes: Bool

  var promptTokens: Int { requests.reduce(0) { $0 + $1.promptTokens.count } }
}

/// Answers one request for embeddings: submits its inputs, and words their vectors when all are there.
///
/// Runs in a task of its own, which is cancelled when the client leaves; the engine holds nothing of the request then.
struct EmbeddingRun {
  let plan: EmbeddingPlan
  let engine: Engine
  let metrics: WorkerMetrics
  /// Prompt and output together, in tokens.
  let contextLength: Int

  private typealias Numbered = (index: Int, vector: [Float])

  /// - Throws: `APIError`, or `CancellationError` if nobody listens any more.
  func body() async throws -> BodyValue {
    let streams = try submit()
    let vectors = try await withThrowingTaskGroup(of: Numbered.self) { group in
      for (index, stream) in streams.enumerated() {
        group.addTask { (index, try await vector(of: stream, promptTokens: plan.requests[index].promptTokens.count)) }
      }
      var vectors = [[Float]](repeating: [], count: streams.count)
      for try await (index, vector) in group { vectors[index] = vector }
      return vectors
    }
    return EmbeddingResponse.body(
      plan.head, vectors: plan.normalizes ? vectors.map(Self.normalized) : vectors, as: plan.encoding,
      usage: Usage(promptTokens: plan.promptTokens, completionTokens: 0))
  }

  /// All inputs or none: the streams of those that were submitted before one was refused are dropped, which cancels them.
  private func submit() throws(APIError) -> [AsyncStream<TokenEvent>] {
    var streams: [AsyncStream<TokenEvent>] = []
    for request in plan.requests {
      do { streams.append(try engine.submit(request)) } catch { throw APIError(error, contextLength: contextLength) }
    }
    return streams
  }

  private func vector(of events: AsyncStream<TokenEvent>, promptTokens: Int) async throws -> [Float] {
    var vector: [Float]?
    for await event in events {
      switch event {
      case .hiddenState(let values): vector = values
      case .handoff, .prompt, .token: break
      case .finished(let result):
        if let vector {
          metrics.observe(embeddingOf: result, promptTokens: promptTokens)
          return vector
        }
        _ = try ChoiceRun.end(of: result)
      }
    }
    try Task.checkCancellation()
    throw APIError.internalError("The engine has stopped.")
  }

  /// - Returns: The vector divided by its length; one of zeros as it is.
  static func normalized(_ vector: [Float]) -> [Float] {
    let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return length > 0 ? vector.map { Float(Double($0) / length) } : vector
  }
}
