import KVBlocks
import KVTransfer
import Logging

// A request's life in the step loop: it comes, its KV may come from afar, it ends well or badly.
extension StepLoop {
  func accept(_ submission: Submission) {
    let request = submission.request
    let sampler = Sampler(
      parameters: request.sampling, seed: request.sampling.seed ?? .random(in: 0...UInt64.max),
      eosTokenIDs: configuration.eosTokenIDs, promptTokens: request.promptTokens,
      earlierOutput: request.earlierOutput, constraint: request.constraint)
    requests[submission.number] = ActiveRequest(
      id: request.id, promptCount: request.promptTokens.count,
      production: Production(request.handoff, canPublish: transport != nil), embeds: request.embeds,
      events: submission.events, sampler: sampler, timings: RequestTimings(queued: submission.queued))
    var sequence = SequenceState(
      number: submission.number, promptTokens: request.promptTokens, cacheSalt: request.cacheSalt,
      scoresPrompt: request.sampling.promptLogprobs != nil)
    if case .consume(let handoff) = request.handoff {
      if request.sampling.promptLogprobs != nil {
        transport?.abandon(handoff)
      } else if let (refusal, reason) = refusal(of: handoff, promptCount: request.promptTokens.count) {
        transport?.abandon(handoff)
        counters.pullRefusals[refusal, default: 0] += 1
        pullFailed(submission.number, reason)
        guard requests[submission.number] != nil else { return }
      } else if handoff.tokens > 0 {
        sequence.pull = handoff
      }
    }
    scheduler.add(sequence)
  }

  // MARK: Ends

  /// The last token was sampled.
  func finish(_ number: UInt64, _ reason: GenerationResult.FinishReason) {
    guard let request = requests.removeValue(forKey: number) else { return }
    end(request, reason, handoff: handOver(number, request))
  }

  /// Takes a finished sequence out, and gives its prompt's blocks to the handoff, if there is or is to be one.
  private func handOver(_ number: UInt64, _ request: ActiveRequest) -> KVHandoff? {
    switch request.production {
    case .none, .over:
      _ = scheduler.finish(number)
      return nil
    case .atEnd, .early:
      return publish(scheduler.finish(number, keeping: request.promptCount), of: number, request)
    case .open(let publication):
      let blocks = scheduler.finish(number, keeping: request.promptCount)
      published[number] = PublishedHandoff(requestID: request.id, handoff: publication.handoff, blocks: blocks)
      publication.complete()
      return publication.handoff
    }
  }

  /// Ends the request at once, wherever it is. Blocks that a pull still writes to stay held until it has ended.
  func cancel(_ number: UInt64) {
    revokeHandoff(of: number)
    guard let request = requests.removeValue(forKey: number) else { return }
    if let pull = pulls[number] {
      pull.cancel()
    } else {
      if let handoff = scheduler.waiting.first(where: { $0.number == number })?.pull { transport?.abandon(handoff) }
      scheduler.cancel(number)
    }
    end(request, .abort)
  }

  func cancelRequests(id: String) {
    for (number, request) in requests where request.id == id { cancel(number) }
    for handoff in published.values where handoff.requestID == id { transport?.withdraw(handoff.handoff.id) }
  }

  private func end(_ request: ActiveRequest, _ reason: GenerationResult.FinishReason, handoff: KVHandoff? = nil) {
    var timings = request.timings
    if timings.scheduled == nil { admission.left() }
    if timings.firstToken == nil { timings.finished = .now }
    let result = GenerationResult(
      reason: reason, handoff: handoff, pull: request.pull, promptTokens: request.promptSources,
      outputTokens: request.sampler.outputCount, timings: timings)
    outbox.append((request.events, .finished(result)))
  }

  // MARK: Pull

  /// - Precondition: There is a transport: else `accept` has refused the pull.
  func start(_ pull: StepPlan.Pull) {
    let transport = transport!
    pulls[pull.number] = Task { [mailbox] in
      let result: Result<KVPullReport, KVTransferError>
      do throws(KVTransferError) {
        result = .success(try await transport.pull(pull.handoff, into: pull.destination))
      } catch {
        result = .failure(error)
      }
      mailbox.post(.pullEnded(pull.number, result))
    }
  }

  /// Nobody writes to the pull's blocks any more, whatever came of it.
  func pullEnded(_ number: UInt64, _ result: Result<KVPullReport, KVTransferError>) {
    pulls[number] = nil
    guard requests[number] != nil else { return scheduler.pullEnded(number, .abandoned) }
    switch result {
    case .success(let report):
      counters.pullSuccesses += 1
      if report.followed { counters.followedPulls += 1 }
      requests[number]!.pull = .succeeded(report)
      scheduler.pullEnded(number, .succeeded)
    case .failure(let error):
      pullFailed(number, "\(error)")
      scheduler.pullEnded(number, requests[number] == nil ? .abandoned : .failed)
    }
  }

  /// Counts and logs it; under the policy `fail` the request ends here.
  private func pullFailed(_ number: UInt64, _ reason: String) {
    guard let id = requests[number]?.id else { return }
    counters.pullFailures += 1
    requests[number]!.pull = .failed(reason)
    logger.warning(
      "KV pull failed",
      metadata: [
        "request.id": "\(id)", "reason": "\(reason)", "policy": "\(configuration.pullFailurePolicy.rawValue)",
      ])
    guard configuration.pullFailurePolicy == .fail, let request = requests.removeValue(forKey: number) else { return }
    end(request, .error("the prompt's KV could not be pulled: \(reason)"))
  }

  /// Why a handoff cannot be pulled for a prompt of this length; nil if it can.
  private func refusal(of handoff: KVHandoff, promptCount: Int) -> (PullRefusal, reason: String)? {
    guard transport != nil else {
      return (.noTransport, "this worker has no KV transport. Start it with --kv-transfer-config.")
    }
    guard handoff.tokens == promptCount || handoff.tokens == promptCount - 1 else {
      let reason =
        "handoff \(handoff.id) is of \(handoff.tokens) tokens, the prompt has \(promptCount)."
        + " Send both legs the same prompt."
      return (.promptMismatch, reason)
    }
    return nil
  }

  // MARK: Publish

  /// - Returns: Nil if the transport refuses; the decoder computes the prompt itself then.
  private func publish(_ blocks: [KVBlockID], of number: UInt64, _ request: ActiveRequest) -> KVHandoff? {
    do {
      guard let transport else { throw KVTransferError.closed }
      let handoff = try transport.publish(
        blocks, tokens: request.promptCount, requestID: request.id, lease: configuration.lease,
        onRelease: { [mailbox] in mailbox.post(.released(number)) })
      published[number] = PublishedHandoff(requestID: request.id, handoff: handoff, blocks: blocks)
      return handoff
    } catch {
      counters.publishFailures += 1
      logger.warning("KV publish failed", metadata: ["request.id": "\(request.id)", "reason": "\(error)"])
      scheduler.release(blocks)
      return nil
    }
  }

  func released(_ number: UInt64) {
    if let handoff = published.removeValue(forKey: number) { return scheduler.release(handoff.blocks) }
    // Pulled or given up before the request's end: it still holds the blocks.
    if case .open? = requests[number]?.production { requests[number]!.production = .over }
  }

  // MARK: Publish before the prompt is computed

  /// The sequence has its blocks: whoever is to decode it may begin to pull.
  func openHandoff(of number: UInt64) {
    guard let request = requests[number], case .early = request.production, let transport,
      let sequence = scheduler.running.first(where: { $0.number == number })
    else { return }
    let blocks = Array(sequence.table.blocks.prefix(scheduler.pool.blocks(forTokens: request.promptCount)))
    do {
      let publication = try transport.open(
        blocks, tokens: request.promptCount, requestID: request.id, lease: configuration.lease,
        onRelease: { [mailbox] in mailbox.post(.released(number)) })
      for layer in 0..<kv.layout.layers { publication.advance(layer: layer, tokens: sequence.computed) }
      requests[number]!.production = .open(publication)
      var handoff = publication.handoff
      handoff.isEarly = true
      // At once, and not with the statistics: the step that is about to begin is what the decoder can make use of.
      request.events.yield(.handoff(handoff))
    } catch {
      requests[number]!.production = .atEnd
      logger.warning("KV publish failed", metadata: ["request.id": "\(request.id)", "reason": "\(error)"])
    }
  }

  /// To be called before the blocks of a sequence are anybody else's, if its prompt was given out: whoever pulls it is told.
  func revokeHandoff(of number: UInt64) {
    guard case .open(let publication)? = requests[number]?.production else { return }
    publication.fail()
    requests[number]!.production = .over
  }

  /// What the entries of a plan compute of prompts that were given out, as a batch tells it.
  func announcer(of plan: StepPlan) -> ((Int) -> Void)? {
    var open: [(publication: KVPublication, tokens: Int)] = []
    for entry in plan.entries {
      let sequence = scheduler.running[entry.index]
      guard entry.positions.lowerBound < sequence.promptCount,
        case .open(let publication)? = requests[sequence.number]?.production
      else { continue }
      open.append((publication, min(entry.positions.upperBound, sequence.promptCount)))
    }
    guard !open.isEmpty else { return nil }
    return { layer in
      for (publication, tokens) in open { publication.advance(layer: layer, tokens: tokens) }
    }
  }
}
