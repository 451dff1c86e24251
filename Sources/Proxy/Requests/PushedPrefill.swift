import HTTPServer
import NIOCore
import NIOHTTP1
import ServingAPI

/// A request under `HandoffTiming.pushed`, between its legs.
extension RequestExchange {
  /// The prefiller's token goes out at once. The decoder goes on behind it when the KV is there, or by itself if that is
  /// not told in time: it then prefills prompt and token.
  func pushed(_ answer: ByteBuffer, pair: LegPair) {
    guard let kind = migration?.kind, let first = FirstToken(answer, kind: kind),
      let (events, rest) = migration?.begin(with: first)
    else {
      forgetTransfer()
      sight.fellBack(.noHandoff)
      return perform(machine.prefilled(withHandoff: false))
    }
    startAnswer(.ok, ["content-type": MediaTypes.eventStream])
    hasBegunEvents = true
    machine.firstTokenIsOut()
    sight.partCame()
    writer.write(events)
    writer.flush()
    switch rest {
    case .complete(let end):
      writer.write(end)
      relayEnded()
    case .ask(let body):
      ask(for: AskedRequest(target: StreamMigration.target, body: body))
      pushedTo = pair.decoder
      awaitNotices(pair.transferID)
    case .impossible: preconditionFailure("A stream that cannot go on does not begin.")
    }
  }

  private func awaitNotices(_ id: String) {
    let isThere = context.notices.areComplete(id, on: loop.eventLoop) { self.transferEnded(inTime: true) }
    if isThere { return transferEnded(inTime: true) }
    transferTimeout = loop.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(
      in: TimeAmount(context.configuration.deadlines.notice)
    ) { self.transferEnded(inTime: false) }
  }

  private func transferEnded(inTime: Bool) {
    guard pushedTo != nil, machine.state == .prefilling else { return }
    forgetTransfer()
    if !inTime {
      sight.fellBack(.handoffFailed)
      if let prefiller { context.change(prefiller) { $0.transferFailed(now: .now()) } }
    }
    perform(machine.prefilled(withHandoff: inTime))
  }

  /// To be called before the prefiller is asked.
  func expectNotices(_ count: Int, of id: String) {
    forgetTransfer()
    transferID = id
    context.notices.expect(count, of: id)
  }

  func forgetTransfer() {
    transferTimeout?.cancel()
    transferTimeout = nil
    if let transferID { context.notices.forget(transferID) }
    transferID = nil
  }
}
