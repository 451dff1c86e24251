import ServingAPI

/// `/v1/responses`: one choice, its output in items.
struct ResponsesFormat: GenerationFormat {
  /// The request's fields that the answer repeats.
  var repeated: BodyValue.Fields

  func body(
    _ head: ResponseHead, choices: [(plan: ChoicePlan, output: ChoiceDelta)], usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    let output = choices[0].output
    return ResponsesAnswer.body(
      head, repeated: repeated, text: output.text, calls: output.toolCalls, end: output.end, usage: usage,
      handoff: handoff)
  }

  func events(
    _ head: ResponseHead, of choice: ChoicePlan, _ streaming: RequestOptions.Streaming
  ) -> any ChoiceEvents {
    BlockEvents(
      answer: ResponsesAnswer(head, repeated: repeated), promptTokens: choice.request.promptTokens.count)
  }

  func closing(_ head: ResponseHead, _ usage: Usage, _ streaming: RequestOptions.Streaming) -> [ServerSentEvent] { [] }

  func failure(_ error: APIError) -> [ServerSentEvent] { [.typed(ResponsesAnswer.failure(error))] }
}

/// `/v1/messages`: one choice, its output in blocks.
struct MessagesFormat: GenerationFormat {
  func body(
    _ head: ResponseHead, choices: [(plan: ChoicePlan, output: ChoiceDelta)], usage: Usage, handoff: BodyValue
  ) -> BodyValue {
    let output = choices[0].output
    return MessagesAnswer.body(
      head, text: output.text, calls: output.toolCalls, end: output.end, usage: usage, handoff: handoff)
  }

  func events(
    _ head: ResponseHead, of choice: ChoicePlan, _ streaming: RequestOptions.Streaming
  ) -> any ChoiceEvents {
    BlockEvents(answer: MessagesAnswer(head), promptTokens: choice.request.promptTokens.count)
  }

  func closing(_ head: ResponseHead, _ usage: Usage, _ streaming: RequestOptions.Streaming) -> [ServerSentEvent] { [] }

  func failure(_ error: APIError) -> [ServerSentEvent] { [.typed(error.messagesBody)] }
}

/// An answer whose stream tells of parts that open and close, with a state of its own.
private protocol BlockAnswer: Sendable {
  mutating func events(text: String, calls: [ToolCallDelta], end: ChoiceEnd?, usage: Usage) -> [ServerSentEvent]
}

extension ResponsesAnswer: BlockAnswer {}
extension MessagesAnswer: BlockAnswer {}

private struct BlockEvents<Answer: BlockAnswer>: ChoiceEvents {
  var answer: Answer
  let promptTokens: Int

  mutating func events(for delta: ChoiceDelta, tokens: Int) -> [ServerSentEvent] {
    answer.events(
      text: delta.text, calls: delta.toolCalls, end: delta.end,
      usage: Usage(promptTokens: promptTokens, completionTokens: tokens))
  }
}
