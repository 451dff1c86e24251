import HTTPServer
import NIOCore
import ServingAPI

/// A prefill leg whose ticket comes before its answer: workers of ours give it out when the prompt has its blocks, so that
/// the decode leg can begin at once, and its decoder pulls the KV while it is computed.
extension RequestExchange {
  /// Of the leg that is waited for. A worker that knows nothing of it passes over the header that asks.
  var asksForEarlyTicket: Bool {
    context.configuration.followsPrefill && isPrefillLeg && plan.handoff?.timing == .afterPrefill
  }

  /// The prefill leg goes on beside the decode leg.
  func ticketCame(_ head: UpstreamHead, from leg: UpstreamLeg) {
    guard asksForEarlyTicket, let ticket = head.headers.first(name: HeaderNames.earlyTicket), let pair,
      let client = asked.followedBody ?? asked.body,
      // The process that prefills would compute the prompt a second time.
      !context.decoders.workers.contains(where: { $0.address == pair.prefiller })
    else { return }
    let answer = ByteBuffer(string: "{\"kv_transfer_params\":\(ticket)}")
    guard let body = plan.handoff?.decodeBody(of: client, pair: pair, prefillAnswer: answer) else { return }
    endRetry()
    handoffBody = body
    published = PublishedHandoff(head, answer, on: leg.worker)
    held = HeldHandoff(of: leg.worker)
    earlyPrefill = (legStarted, deadline.at)
    companion = leg
    self.leg = nil
    perform(machine.prefilled(withHandoff: true))
  }

  /// The decode leg's own time begins.
  func earlyPrefillEnded(_ ended: UpstreamLeg, since started: NIODeadline) {
    guard !machine.hasRelayed else { return }
    context.prefillLegTook(seconds(since: started), on: ended.worker, of: plan)
    legStarted = .now()
    if isStreamed, leg != nil { wait(context.configuration.deadlines.firstToken, .firstToken) }
  }

  /// The decoder is told by the prefiller, or sees its connection end, and computes the prompt.
  func earlyPrefillFailed(_ fault: LegFault, on worker: Worker) {
    sight.legFailed(fault, on: worker, afterFirstToken: machine.hasRelayed)
    lastFailed = worker
    (published, held, prefiller) = (nil, nil, nil)
    guard !machine.hasRelayed else { return }
    sight.fellBack(.prefillFailed)
    if isStreamed, leg != nil { wait(context.configuration.deadlines.firstToken, .firstToken) }
  }
}
