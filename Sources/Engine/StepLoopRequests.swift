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
    var produces = false
    if case .produce = request.handoff { produces = true }
    requests[submission.number] = ActiveRequest(
      id: request.id, promptCount: request.promptTokens.count, produces: produces, embeds: request.embeds,
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
    var handoff: KVHandoff?
    if request.produces {
      handoff = publish(scheduler.finish(number, keeping: request.promptCount), of: number, request)
    } else {
      _ = scheduler.finish(number)
    }
    end(request, reason, handoff: handoff)
  }

  /// Ends the request at once, wherever it is. Blocks that a pull still writes to stay held until it has ended.
  func cancel(_ number: UInt64) {
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
    guard let handoff = published.removeValue(forKey: number) else { return }
    scheduler.release(handoff.blocks)
  }
}
