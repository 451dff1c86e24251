import Engine
import KVTransfer
import ServingAPI

/// From a request's body to what the engine is asked.
extension WorkerResponder {
  func plan(
    _ request: CompletionRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    try check(request.options, request.sampling, prompts: request.prompts.count)
    let limit = request.sampling.maxTokens ?? request.defaultMaxTokens ?? .max
    var prompts: [PromptPlan] = []
    for prompt in request.prompts {
      if case .text(let text) = prompt { try model.checkLength(text, truncation: request.options.truncation) }
      let whole = try model.tokens(of: prompt, addSpecialTokens: request.options.addSpecialTokens)
      let tokens = try model.fit(
        whole, truncation: request.options.truncation, outputTokens: max(1, request.sampling.maxTokens ?? 1))
      let echo = request.echo ? model.text(of: whole == tokens ? prompt : .tokens(tokens)) : ""
      prompts.append(
        PromptPlan(
          tokens: tokens, echo: echo,
          maxTokens: min(limit, model.room(after: tokens, earlierOutput: request.earlierOutput))))
    }
    var plan = try plan(
      prompts, request.sampling, request.options, earlierOutput: request.earlierOutput, id: "cmpl-\(id.text)", now)
    for index in plan.choices.indices {
      plan.choices[index].isEchoOnly = request.isEchoOnly
      plan.choices[index].decoding.echoesLogprobs = request.echo && request.sampling.logprobs != nil
    }
    return (plan, CompletionFormat(showsIDs: request.options.returnTokenIDs))
  }

  func plan(
    _ request: ChatCompletionRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    (try plan(request, id: "chatcmpl-\(id.text)", now), ChatFormat(showsIDs: request.options.returnTokenIDs))
  }

  func plan(
    _ request: ResponsesRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    (try plan(request.chat, id: "resp_\(id.text)", now), ResponsesFormat(repeated: request.repeated))
  }

  func plan(
    _ request: MessagesRequest, _ id: RequestID, _ now: Int
  ) throws(APIError) -> (GenerationPlan, any GenerationFormat) {
    (try plan(request.chat, id: "msg_\(id.text)", now), MessagesFormat())
  }

  func plan(
    _ request: EmbeddingRequest, _ id: RequestID, salt: String?, _ now: Int
  ) throws(APIError) -> EmbeddingPlan {
    let options = request.options
    try model.check(name: options.model)
    try checkQueue(request.inputs.count, "inputs", param: "input")
    let head = model.head(id: "embd-\(id.text)", model: options.model, now: now)
    let number = RequestID.random(digits: 8)
    var requests: [GenerationRequest] = []
    for (index, input) in request.inputs.enumerated() {
      if case .text(let text) = input { try model.checkLength(text, truncation: options.truncation) }
      let tokens = try model.fit(
        model.tokens(of: input, addSpecialTokens: options.addSpecialTokens, param: "input"),
        truncation: options.truncation, outputTokens: 0)
      var request = GenerationRequest(id: "\(head.id)-\(index)-\(number)", promptTokens: tokens, cacheSalt: salt)
      request.embeds = true
      requests.append(request)
    }
    return EmbeddingPlan(head: head, requests: requests, encoding: request.encoding, normalizes: request.normalizes)
  }

  /// - Parameter id: As the answer bears it.
  private func plan(
    _ request: ChatCompletionRequest, id: String, _ now: Int
  ) throws(APIError) -> GenerationPlan {
    try check(request.options, request.sampling, prompts: 1)
    let tools = try toolSyntax(request)
    let text = try model.render(request.messages, request.template, tools: request.tools?.definitions)
    try model.checkLength(text, truncation: request.options.truncation)
    let tokens = try model.fit(
      model.tokens(of: .text(text), addSpecialTokens: request.options.addSpecialTokens),
      truncation: request.options.truncation, outputTokens: max(1, request.sampling.maxTokens ?? 1))
    let room = model.room(after: tokens)
    let prompt = PromptPlan(
      tokens: tokens, echo: request.echo ? model.echo(of: request) : "",
      maxTokens: min(request.sampling.maxTokens ?? room, room))
    var sampling = request.sampling
    // What marks a call is a special token to some models.
    if case .format = tools { sampling.skipSpecialTokens = false }
    var plan = try plan([prompt], sampling, request.options, id: id, now)
    for index in plan.choices.indices {
      plan.choices[index].tools = tools
      plan.choices[index].allowsSeveralCalls = request.tools?.allowsSeveral ?? true
    }
    return plan
  }

  /// How this request's calls of tools are written; nil if it may make none.
  private func toolSyntax(_ request: ChatCompletionRequest) throws(APIError) -> ToolCallReader.Syntax? {
    switch request.tools?.choice {
    case nil, .some(.none): return nil
    case .required: return .list
    case .named(let name): return .arguments(of: name)
    case .auto:
      guard let format = model.toolCallFormat else {
        throw .badRequest(
          "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
          param: "tool_choice")
      }
      return .format(format)
    }
  }

  private func check(_ options: RequestOptions, _ sampling: SamplingFields, prompts: Int) throws(APIError) {
    try model.check(name: options.model)
    try sampling.validate(contextLength: model.maxModelLength, vocabularySize: model.vocabularySize)
    try checkQueue(sampling.n * prompts, "choices", param: "n")
  }

  /// A 503 would promise that it fits later.
  private func checkQueue(_ count: Int, _ what: String, param: String) throws(APIError) {
    guard count > maxWaiting else { return }
    throw .badValue(
      "The request asks for \(count) \(what), and at most \(maxWaiting) may wait at this worker. Ask for fewer, or start "
        + "the worker with a higher --max-waiting.", param: param)
  }

  private func plan(
    _ prompts: [PromptPlan], _ sampling: SamplingFields, _ options: RequestOptions, earlierOutput: Int = 0,
    id: String, _ now: Int
  ) throws(APIError) -> GenerationPlan {
    GenerationPlan(
      head: model.head(id: id, model: options.model, now: now), prompts: prompts, sampling: sampling,
      options: options, handoff: try handoff(options), earlierOutput: earlierOutput,
      badWords: model.badWords(sampling.badWords), constraint: try model.constraint(sampling.constraint),
      salt: RequestID.random(digits: 8))
  }

  /// What this worker's role makes of `kv_transfer_params`.
  private func handoff(_ options: RequestOptions) throws(APIError) -> GenerationRequest.Handoff {
    // As vLLM without a connector: the parameters mean nothing, and the answer is the same.
    guard let role = role.withLock({ $0 }), case .pull = plane else { return .none }
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
    plane?.transport.withdraw(KVHandoff.ID(id))
    return HTTPReply(status: .ok)
  }

  /// What was taken under the old role goes on under it.
  func changeRole(_ fields: BodyValue.Fields) throws(APIError) -> HTTPReply {
    guard let wanted = fields["kv_role"]?.stringValue.flatMap(KVTransferConfiguration.Role.init) else {
      throw .badValue("kv_role must be kv_producer, kv_consumer or kv_both.", param: "kv_role")
    }
    guard case .pull = plane else {
      throw APIError(
        status: 409, type: "ConflictError",
        message: "This worker's part is fixed. One whose role can change has the NixlConnector in --kv-transfer-config."
      )
    }
    role.withLock { $0 = wanted }
    logger.notice("The role has changed", metadata: ["role": "\(wanted.rawValue)"])
    return .json(["kv_role": .string(wanted.rawValue)])
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
