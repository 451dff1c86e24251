import NIOCore

/// Which way one request goes: decided once, before its first leg.
struct RoutePlan: Sendable {
  var route: Route
  /// nil if there is no prefill leg. The request keeps to it, whatever is detected meanwhile.
  var handoff: (any Handoff)?
  /// The workers that the policies picked when the way was decided; nil if there was nothing to decide.
  var prefiller: Int?
  var decoder: Int?
  var decision: DisaggregationDecision?
  var size = PromptSize(tokens: 0, newToPrefiller: 0, newToDecoder: 0)

  /// The decoder that the request skips its prefill for. After a prefill the loads are others: that leg picks anew.
  var decoderAlone: Int? { route == .decoderAlone ? decoder : nil }
}

extension ProxyContext {
  /// - Parameter body: nil for an endpoint whose body goes on untouched.
  func plan(_ shape: RequestShape, body: ClientBody?, now: NIODeadline) -> RoutePlan {
    let handoff = self.handoff
    var plan = RoutePlan(route: body?.route(under: handoff) ?? .decoderAlone, handoff: handoff)
    guard plan.route == .twoLegs, let handoff, let body else { return plan }
    guard decidesWay, let prefiller = prefillers.candidate(shape, now: now),
      let decoder = decoders.candidate(shape, now: now)
    else {
      disaggregation.count(.disaggregated)
      return plan
    }
    plan.prefiller = prefiller.index
    plan.decoder = decoder.index
    plan.size = PromptSize(
      tokens: shape.prompt.tokens,
      newToPrefiller: shape.prompt.tokens(behind: prefillers.seenBytes(of: shape.prompt, by: prefiller)),
      newToDecoder: shape.prompt.tokens(behind: decoders.seenBytes(of: shape.prompt, by: decoder)))
    let decision = decide(plan.size, prefiller, decoder, isStreamed: body.isStreamed, handoff)
    disaggregation.count(decision)
    plan.decision = decision
    if decision.skipsPrefiller { plan.route = .decoderAlone }
    return plan
  }

  /// A prefill leg was answered.
  func prefillLegTook(_ seconds: Double, on worker: Worker, of plan: RoutePlan) {
    guard worker.index == plan.prefiller else { return }
    disaggregation.prefillLegTook(seconds, plan.size)
  }

  /// A decode leg's first token came this long after the leg's start. Where there is no choice, nothing is learned.
  func decodeLegTook(_ seconds: Double, on worker: Worker, of plan: RoutePlan, withHandoff: Bool) {
    guard worker.role == .decode, worker.index == plan.decoder, plan.handoff?.decodersCanPrefill == true else { return }
    disaggregation.decodeLegTook(seconds, plan.size, withHandoff: withHandoff)
  }

  private func decide(
    _ size: PromptSize, _ prefiller: Worker, _ decoder: Worker, isStreamed: Bool, _ handoff: any Handoff
  ) -> DisaggregationDecision {
    if prefiller.address == decoder.address { return .sameWorker }
    guard handoff.decodersCanPrefill else { return .disaggregated }
    return disaggregation.decide(size, running: decoders.running(on: decoder), isStreamed: isStreamed)
  }
}
