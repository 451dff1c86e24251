import ServingAPI

/// An endpoint whose stream is chunks of one kind, `[DONE]` after them: `/v1/completions` or `/v1/chat/completions`.
protocol ChunkFormat: GenerationFormat {
  /// What a choice's stream begins with, before its first token.
  func opening(_ head: ResponseHead, choice: ChoicePlan, usage: Usage?) -> BodyValue?
  func chunk(
    _ head: ResponseHead, choice: ChoicePlan, _ delta: ChoiceDelta, isFirst: Bool, usage: Usage?, isLast: Bool
  ) -> BodyValue
  func usageChunk(_ head: ResponseHead, _ usage: Usage) -> BodyValue
}

extension ChunkFormat {
  func events(
    _ head: ResponseHead, of choice: ChoicePlan, _ streaming: RequestOptions.Streaming
  ) -> any ChoiceEvents {
    ChunkEvents(format: self, head: head, choice: choice, streaming: streaming)
  }

  func closing(_ head: ResponseHead, _ usage: Usage, _ streaming: RequestOptions.Streaming) -> [ServerSentEvent] {
    (streaming.includeUsage ? [.chunk(usageChunk(head, usage))] : []) + [.done]
  }

  func failure(_ error: APIError) -> [ServerSentEvent] { [.chunk(error.body), .done] }
}

private struct ChunkEvents<Format: ChunkFormat>: ChoiceEvents {
  let format: Format
  let head: ResponseHead
  let choice: ChoicePlan
  let streaming: RequestOptions.Streaming
  private var isFirst = true

  init(format: Format, head: ResponseHead, choice: ChoicePlan, streaming: RequestOptions.Streaming) {
    self.format = format
    self.head = head
    self.choice = choice
    self.streaming = streaming
  }

  mutating func events(for delta: ChoiceDelta, tokens: Int) -> [ServerSentEvent] {
    var events: [ServerSentEvent] = []
    if isFirst, let opening = format.opening(head, choice: choice, usage: usage(0)) { events.append(.chunk(opening)) }
    events.append(
      .chunk(
        format.chunk(
          head, choice: choice, delta, isFirst: isFirst, usage: usage(tokens),
          isLast: delta.end != nil && !streaming.includeUsage)))
    isFirst = false
    return events
  }

  private func usage(_ tokens: Int) -> Usage? {
    guard streaming.continuousUsage, streaming.includeUsage else { return nil }
    return Usage(promptTokens: choice.request.promptTokens.count, completionTokens: tokens)
  }
}

struct CompletionFormat: ChunkFormat {
  /// `return_token_ids`
  var showsIDs: Bool

  func opening(_ head: ResponseHead, choice: ChoicePlan, usage: Usage?) -> BodyValue? { nil }

  func chunk(
    _ head: ResponseHead, choice: ChoicePlan, _ delta: ChoiceDelta, isFirst: Bool, usage: Usage?, isLast: Bool
  ) -> BodyValue {
    CompletionResponse.chunk(
      head, self.choice(choice, delta, showsPrompt: showsIDs && isFirst), usage: usage, isLast: isLast)
  }

  func usageChunk(_ head: ResponseHead, _ usage: Usage) -> BodyValue { CompletionResponse.usageChunk(head, usage) }

  func body(
    _ head: ResponseHead, choices: [(plan: ChoicePlan, output: ChoiceDelta)], usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    CompletionResponse.body(
      head, choices: choices.map { choice($0.plan, $0.output, showsPrompt: showsIDs) }, usage: usage, handoff: handoff)
  }

  private func choice(_ plan: ChoicePlan, _ delta: ChoiceDelta, showsPrompt: Bool) -> CompletionResponse.Choice {
    var choice = CompletionResponse.Choice(
      index: plan.index, text: delta.text, logprobs: delta.logprobs, end: delta.end)
    if showsIDs { choice.tokenIDs = delta.tokenIDs }
    if showsPrompt { choice.promptTokenIDs = plan.request.promptTokens }
    choice.promptLogprobs = delta.promptLogprobs
    return choice
  }
}

struct ChatFormat: ChunkFormat {
  /// `return_token_ids`
  var showsIDs: Bool

  func opening(_ head: ResponseHead, choice: ChoicePlan, usage: Usage?) -> BodyValue? {
    ChatCompletionResponse.roleChunk(
      head, index: choice.index, usage: usage, promptTokenIDs: showsIDs ? choice.request.promptTokens : nil)
  }

  func chunk(
    _ head: ResponseHead, choice: ChoicePlan, _ delta: ChoiceDelta, isFirst: Bool, usage: Usage?, isLast: Bool
  ) -> BodyValue {
    ChatCompletionResponse.chunk(head, self.choice(choice, delta), usage: usage, isLast: isLast)
  }

  func usageChunk(_ head: ResponseHead, _ usage: Usage) -> BodyValue { ChatCompletionResponse.usageChunk(head, usage) }

  func body(
    _ head: ResponseHead, choices: [(plan: ChoicePlan, output: ChoiceDelta)], usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    ChatCompletionResponse.body(
      head, choices: choices.map { choice($0.plan, $0.output) }, usage: usage,
      promptTokenIDs: showsIDs ? choices.first?.plan.request.promptTokens : nil,
      promptLogprobs: choices.first?.output.promptLogprobs, handoff: handoff)
  }

  private func choice(_ plan: ChoicePlan, _ delta: ChoiceDelta) -> ChatCompletionResponse.Choice {
    var choice = ChatCompletionResponse.Choice(
      index: plan.index, text: delta.text, logprobs: delta.logprobs, end: delta.end)
    if showsIDs { choice.tokenIDs = delta.tokenIDs }
    choice.toolCalls = delta.toolCalls
    return choice
  }
}
