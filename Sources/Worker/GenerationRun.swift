import Engine
import HTTPServer
import KVTransfer
import Logging
import NIOCore
import NIOHTTP1
import ServingAPI

/// Answers one generation request: submits its choices, and sends what comes, as one body or as a stream.
///
/// Runs in a task of its own, which is cancelled when the client leaves. However it ends, the engine holds nothing of
/// the request afterwards, but for a handoff whose ticket the client got.
struct GenerationRun {
  let plan: GenerationPlan
  let format: any GenerationFormat
  let model: ServedModel
  let engine: Engine
  let metrics: WorkerMetrics
  let delivery: PromptDelivery

  /// What the log tells of a request that was served.
  struct Summary: Sendable {
    var outputTokens = 0
    var prompt = PromptTokensBySource()
    var timeToFirstToken: Duration?
    var handoffID: String?
    var pull: GenerationResult.Pull?
  }

  private typealias Numbered = (index: Int, outcome: ChoiceRun.Outcome, output: ChoiceDelta)

  /// - Throws: `APIError` if nothing was sent yet and the caller is to answer; `CancellationError` or
  ///   `HTTPClientGone` if nobody listens any more.
  func respond(_ writer: HTTPResponseWriter, headers: HTTPHeaders) async throws -> Summary {
    let submitted: [ChoiceRun]
    do { submitted = try submit(writer) } catch {
      delivery.giveUp()
      throw error
    }
    do {
      guard let streaming = plan.options.streaming else { return try await respondWhole(submitted, writer, headers) }
      return try await stream(submitted, streaming, EventStream(writer: writer, headers: headers))
    } catch {
      cancelAll()
      delivery.giveUp()
      throw error
    }
  }

  /// All of a request's choices, or none.
  private func submit(_ writer: HTTPResponseWriter) throws(APIError) -> [ChoiceRun] {
    var runs: [ChoiceRun] = []
    for choice in plan.choices {
      do {
        let events = try engine.submit(choice.request)
        runs.append(
          ChoiceRun(
            plan: choice, events: events, engine: engine, tokenizer: model.tokenizer, metrics: metrics,
            announce: { announce($0, of: choice, writer) }))
      } catch {
        cancelAll()
        throw APIError(error, contextLength: model.maxModelLength)
      }
    }
    return runs
  }

  /// The ticket to KV that is about to be computed, in an interim response. Its blocks are left out: a decoder is told them
  /// when it claims.
  private func announce(_ handoff: KVHandoff, of choice: ChoicePlan, _ writer: HTTPResponseWriter) {
    var ticket = HandoffTicket(handoff, requestID: choice.request.id, cachedTokens: 0)
    ticket.blocks = []
    writer.inform([
      "server": "xpyd", HeaderNames.earlyTicket: String(decoding: ticket.json.encoded, as: UTF8.self),
    ])
  }

  private func cancelAll() {
    for choice in plan.choices { engine.cancel(choice.request.id) }
  }

  // MARK: One body

  private func respondWhole(
    _ runs: [ChoiceRun], _ writer: HTTPResponseWriter, _ headers: HTTPHeaders
  ) async throws -> Summary {
    let numbered = try await withThrowingTaskGroup(of: Numbered.self) { group in
      for run in runs {
        group.addTask {
          var output = ChoiceDelta(logprobs: run.plan.decoding.wantsLogprobs ? [] : nil)
          let outcome = try await run.read { delta, _ in output = output.followed(by: delta) }
          return (run.plan.index, outcome, output)
        }
      }
      return try await Self.collect(&group)
    }
    try Task.checkCancellation()
    await delivery.deliver(numbered.first?.outcome.result.handoff)
    let usage = usage(numbered)
    let body = format.body(
      plan.head, choices: zip(plan.choices, numbered).map { ($0, $1.output) }, usage: usage, handoff: ticket(numbered))
    HTTPReply.json(body).send(to: writer, headers: headers)
    return summary(numbered)
  }

  /// The ticket of the only choice that may have made one.
  private func ticket(_ outcomes: [Numbered]) -> BodyValue {
    guard !delivery.isPush, let result = outcomes.first?.outcome.result, let handoff = result.handoff else {
      return .null
    }
    return HandoffTicket(
      handoff, requestID: plan.choices[0].request.id,
      cachedTokens: result.promptTokens.prefixCache + result.promptTokens.offloaded
    ).json
  }

  // MARK: A stream

  private func stream(
    _ runs: [ChoiceRun], _ streaming: RequestOptions.Streaming, _ stream: EventStream
  ) async throws -> Summary {
    do {
      let numbered = try await withThrowingTaskGroup(of: Numbered.self) { group in
        for run in runs {
          group.addTask { (run.plan.index, try await relay(run, streaming, stream), ChoiceDelta()) }
        }
        return try await Self.collect(&group)
      }
      await delivery.deliver(numbered.first?.outcome.result.handoff)
      stream.finish(format.closing(plan.head, usage(numbered), streaming))
      return summary(numbered)
    } catch let error as APIError where stream.hasStarted {
      // As vLLM: the status has gone out, so the failure is the stream's last event.
      cancelAll()
      stream.finish(format.failure(error))
      throw StreamFailed(error: error)
    }
  }

  private func relay(
    _ run: ChoiceRun, _ streaming: RequestOptions.Streaming, _ stream: EventStream
  ) async throws -> ChoiceRun.Outcome {
    var events = format.events(plan.head, of: run.plan, streaming)
    return try await run.read { delta, tokens in
      let news = events.events(for: delta, tokens: tokens)
      if !news.isEmpty { try await stream.send(news) }
    }
  }

  // MARK: Both

  /// In the order of the choices. The first failure cancels the others.
  private static func collect(_ group: inout ThrowingTaskGroup<Numbered, any Error>) async throws -> [Numbered] {
    var numbered: [Numbered] = []
    for try await one in group { numbered.append(one) }
    return numbered.sorted { $0.index < $1.index }
  }

  private func usage(_ outcomes: [Numbered]) -> Usage {
    Usage(promptTokens: plan.promptTokens, completionTokens: outcomes.reduce(0) { $0 + $1.outcome.outputTokens })
  }

  private func summary(_ outcomes: [Numbered]) -> Summary {
    var summary = Summary()
    for (choice, numbered) in zip(plan.choices, outcomes) {
      metrics.observe(numbered.outcome, of: choice, choices: plan.choices.count)
      summary.outputTokens += numbered.outcome.outputTokens
      summary.prompt.computed += numbered.outcome.result.promptTokens.computed
      summary.prompt.prefixCache += numbered.outcome.result.promptTokens.prefixCache
      summary.prompt.offloaded += numbered.outcome.result.promptTokens.offloaded
      summary.prompt.pulled += numbered.outcome.result.promptTokens.pulled
    }
    let first = outcomes.first?.outcome.result
    summary.timeToFirstToken = first?.timings.timeToFirstToken
    summary.handoffID = first?.handoff?.id.rawValue
    summary.pull = first?.pull
    return summary
  }
}

/// The request failed after its status had gone out; the client has been told in the stream.
struct StreamFailed: Error {
  var error: APIError
}

extension APIError {
  init(_ error: EngineError, contextLength: Int) {
    switch error {
    case .emptyPrompt: self = .badRequest("\(error)", param: "prompt")
    case .promptTooLong(let tokens, _):
      self = .tooLong(promptTokens: tokens, outputTokens: 1, contextLength: contextLength)
    case .promptExceedsPool: self = .badRequest("\(error)", param: "input_tokens")
    case .tokenOutOfVocabulary: self = .badRequest("\(error)", param: "prompt")
    case .queueFull(_, _, let retryAfter):
      self = .overloaded("\(error)", retryAfter: max(1, Int((retryAfter / .seconds(1)).rounded(.up))))
    case .shuttingDown: self = .overloaded("\(error)", retryAfter: 1)
    }
  }
}
