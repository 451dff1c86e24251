import Engine
import KVBlocks
import KVTransfer
import ServingAPI

/// One output of a request: what the engine is asked, and how its tokens become text.
struct ChoicePlan: Sendable {
  var index: Int
  var request: GenerationRequest
  var decoding: ChoiceDecoder.Options
  /// The prompt's text, put before the output.
  var echo = ""
  /// The output is not wanted.
  var isEchoOnly = false
  /// How calls of tools stand in the output; nil: it is text.
  var tools: ToolCallReader.Syntax?
  /// Calls after the first are kept too.
  var allowsSeveralCalls = true
}

/// One prompt, ready for the engine.
struct PromptPlan: Sendable {
  /// They fit the context.
  var tokens: [Int32]
  /// To put before the output.
  var echo = ""
  var maxTokens: Int
}

/// A request as the engine and the response builders need it: a value, made before anything runs.
struct GenerationPlan: Sendable {
  var head: ResponseHead
  /// Prompt by prompt, `n` of each.
  var choices: [ChoicePlan]
  var options: RequestOptions
  /// Over all prompts, each counted once.
  var promptTokens: Int
  /// Tokens of the only prompt that are output of another worker.
  var earlierOutput: Int

  /// - Parameters:
  ///   - handoff: of the first prompt's first choice. The router asks for one prompt's KV, and its ticket is for one
  ///     prompt: the other choices are computed here, since decoding them on another prompt's KV would be wrong.
  ///   - badWords: `bad_words` in token ids.
  ///   - salt: makes the engine's ids unique where two clients send the same `X-Request-Id`.
  init(
    head: ResponseHead, prompts: [PromptPlan], sampling: SamplingFields, options: RequestOptions,
    handoff: GenerationRequest.Handoff, earlierOutput: Int = 0, badWords: [[Int32]] = [],
    constraint: (any TokenConstraint)? = nil, salt: String
  ) {
    self.head = head
    self.options = options
    self.earlierOutput = earlierOutput
    promptTokens = prompts.reduce(0) { $0 + $1.tokens.count }
    choices = []
    for prompt in prompts {
      for choice in 0..<sampling.n {
        let index = choices.count
        var parameters = sampling.engineParameters(maxTokens: prompt.maxTokens, choice: choice)
        parameters.badWords = badWords
        choices.append(
          ChoicePlan(
            index: index,
            request: GenerationRequest(
              id: "\(head.id)-\(index)-\(salt)", promptTokens: prompt.tokens, earlierOutput: earlierOutput,
              sampling: parameters, handoff: index == 0 ? handoff : .none, cacheSalt: options.cacheSalt,
              constraint: constraint),
            decoding: ChoiceDecoder.Options(
              maxTokens: prompt.maxTokens, minTokens: sampling.minTokens, stop: sampling.stop,
              includesStop: sampling.includeStopString, skipsSpecial: sampling.skipSpecialTokens,
              wantsLogprobs: sampling.logprobs != nil, showsIDs: options.tokensAsIDs),
            echo: prompt.echo))
      }
    }
  }
}

extension GenerationPlan {
  /// If it makes a ticket, the client gets it as soon as there is one.
  mutating func announceTicket() {
    for index in choices.indices {
      if case .produce = choices[index].request.handoff { choices[index].request.handoff = .produceEarly }
    }
  }

  /// Keeps this request's KV apart from all that has another salt.
  mutating func saltKV(_ salt: String?) {
    for index in choices.indices { choices[index].request.cacheSalt = salt }
  }
}

extension SamplingFields {
  /// - Parameter choice: of the same prompt's `n`: each draws from a seed of its own.
  func engineParameters(maxTokens: Int, choice: Int) -> SamplingParameters {
    var parameters = SamplingParameters()
    parameters.temperature = Float(temperature)
    parameters.topP = Float(topP)
    parameters.topK = max(0, topK)
    parameters.minP = Float(minP)
    parameters.seed = seed.map { UInt64(bitPattern: $0) &+ UInt64(choice) }
    parameters.repetitionPenalty = Float(repetitionPenalty)
    parameters.presencePenalty = Float(presencePenalty)
    parameters.frequencyPenalty = Float(frequencyPenalty)
    parameters.logitBias = logitBias.mapValues { Float($0) }
    parameters.allowedTokenIDs = allowedTokenIDs
    parameters.maxTokens = maxTokens
    parameters.minTokens = min(minTokens, maxTokens)
    parameters.ignoreEOS = ignoreEOS
    parameters.stopTokenIDs = Set(stopTokenIDs)
    parameters.logprobs = logprobs
    parameters.promptLogprobs = promptLogprobs
    return parameters
  }
}

extension HandoffTicket {
  /// - Parameter requestID: the engine's name of the request, which vLLM's routers log.
  init(_ handoff: KVHandoff, requestID: String, cachedTokens: Int) {
    self.init(
      engineID: handoff.engineID, requestID: "\(requestID)-\(handoff.id.rawValue)", host: handoff.host,
      port: handoff.port, blocks: handoff.blocks.map { Int($0.index) }, tokens: handoff.tokens)
    self.cachedTokens = cachedTokens
    isEarly = handoff.isEarly
  }

  var handoff: KVHandoff {
    var handoff = KVHandoff(
      id: KVHandoff.ID(String(handoffID)), engineID: engineID, host: host, port: port,
      blocks: blocks.map { KVBlockID(Int32($0)) }, tokens: tokens)
    handoff.isEarly = isEarly
    return handoff
  }
}
