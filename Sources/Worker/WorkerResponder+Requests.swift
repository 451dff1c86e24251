import Engine
import KVTransfer
import ServingAPI

/// From a request's body to what the engine is asked.
extension WorkerResponder {
  func plan(
    _ request: CompletionRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    try check(request.options, request.sampling, prompts: request.prompts.count)
    var prompts: [(tokens: [Int32], echo: String)] = []
    for prompt in request.prompts {
      if case .text(let text) = prompt { try model.checkLength(text, truncation: request.options.truncation) }
      let tokens = try model.tokens(of: prompt, addSpecialTokens: request.options.addSpecialTokens)
      prompts.append(
        (
          try model.fit(tokens, truncation: request.options.truncation, maxTokens: request.sampling.maxTokens),
          request.echo ? model.text(of: prompt) : ""
        ))
    }
    let limit = request.sampling.maxTokens ?? request.defaultMaxTokens ?? .max
    let maxTokens = prompts.map { min(limit, model.maxModelLength - $0.tokens.count) }
    return (
      try plan(
        prompts, maxTokens, request.sampling, request.options, earlierOutput: request.earlierOutput,
        id: "cmpl-\(id.text)", now),
      CompletionFormat(showsIDs: request.options.returnTokenIDs)
    )
  }

  func plan(
    _ request: ChatCompletionRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    try check(request.options, request.sampling, prompts: 1)
    let text = try model.render(request.messages, request.template)
    try model.checkLength(text, truncation: request.options.truncation)
    let tokens = try model.fit(
      model.tokens(of: .text(text), addSpecialTokens: request.options.addSpecialTokens),
      truncation: request.options.truncation, maxTokens: request.sampling.maxTokens)
    let room = model.maxModelLength - tokens.count
    return (
      try plan(
        [(tokens, "")], [min(request.sampling.maxTokens ?? room, room)], request.sampling, request.options,
        id: "chatcmpl-\(id.text)", now),
      ChatFormat(showsIDs: request.options.returnTokenIDs)
    )
  }

  private func check(_ options: RequestOptions, _ sampling: SamplingFields, prompts: Int) throws(APIError) {
    try model.check(name: options.model)
    try sampling.validate(contextLength: model.maxModelLength, vocabularySize: model.vocabularySize)
    // A 503 would promise that it fits later.
    if sampling.n * prompts > maxWaiting {
      throw .badValue(
        "The request asks for \(sampling.n * prompts) choices, and at most \(maxWaiting) may wait at this worker. Ask for "
          + "fewer prompts or a smaller n, or start the worker with a higher --max-waiting.", param: "n",
        value: "\(sampling.n)")
    }
  }

  private func plan(
    _ prompts: [(tokens: [Int32], echo: String)], _ maxTokens: [Int], _ sampling: SamplingFields,
    _ options: RequestOptions, earlierOutput: Int = 0, id: String, _ now: Int
  ) throws(APIError) -> GenerationPlan {
    GenerationPlan(
      head: model.head(id: id, model: options.model, now: now), prompts: prompts, maxTokens: maxTokens,
      sampling: sampling, options: options, handoff: try handoff(options), earlierOutput: earlierOutput,
      salt: RequestID.random(digits: 8))
  }

  /// What this worker's role makes of `kv_transfer_params`.
  private func handoff(_ options: RequestOptions) throws(APIError) -> GenerationRequest.Handoff {
    // As vLLM without a connector: the parameters mean nothing, and the answer is the same.
    guard let role else { return .none }
    switch options.handoff {
    case .none: return .none
    case .produce:
      guard role.publishes else {
        throw .badRequest(
          "This worker is a kv_consumer and publishes no KV: send do_remote_decode to a kv_producer or kv_both.",
          param: "kv_transfer_params")
      }
      // A stream has no place for the ticket, so nobody could ever pull: nothing is published.
      return options.streaming == nil ? .produce : .none
    case .consume(let ticket):
      guard role.pulls else {
        throw .badRequest(
          "This worker is a kv_producer and pulls no KV: send do_remote_prefill to a kv_consumer or kv_both.",
          param: "kv_transfer_params")
      }
      return .consume(ticket.handoff)
    }
  }

  /// Gives up what a prefill published, which its lease would hold for longer. One that is pulled, released or of
  /// another worker is none of ours any more: the answer is the same.
  func releaseHandoff(_ fields: BodyValue.Fields) throws(APIError) -> HTTPReply {
    let id = try HandoffTicket.handoffID(inReleaseOf: fields)
    transport?.withdraw(KVHandoff.ID(id))
    return HTTPReply(status: .ok)
  }

  // MARK: Text and ids

  func tokenize(_ fields: BodyValue.Fields) throws(APIError) -> BodyValue {
    let request = try TokenizeRequest(fields)
    try model.check(name: request.model)
    let text: String
    switch request.input {
    case .prompt(let prompt): text = prompt
    case .messages(let messages, let template): text = try model.render(messages, template)
    }
    let ids = try model.tokens(of: .text(text), addSpecialTokens: request.addSpecialTokens)
    return [
      "count": BodyValue(ids.count), "max_model_len": BodyValue(model.maxModelLength), "tokens": BodyValue(ids),
      "token_strs": request.returnTokenStrings ? .array(ids.map { .string(model.tokenizer.text(of: $0)) }) : nil,
    ]
  }

  func detokenize(_ fields: BodyValue.Fields) throws(APIError) -> BodyValue {
    let request = try DetokenizeRequest(fields)
    try model.check(name: request.model)
    try model.check(request.tokens, param: "tokens")
    return ["prompt": .string(model.tokenizer.decode(request.tokens, skipSpecial: false))]
  }
}
