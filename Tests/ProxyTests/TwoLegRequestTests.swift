import Proxy
import Testing

@Suite struct TwoLegRequestTests {
  private static let faults: [LegFault] = [
    .connect(reason: "refused the connection"), .connectTimeout, .closed, .malformed(.unsupportedVersion),
    .deadline(.firstToken), .unhealthy, .answered(status: 500), .errorEvent, .tooLarge,
  ]

  private static func decoding(withHandoff: Bool = true, attempts: Int = 3) -> TwoLegRequest {
    var request = TwoLegRequest(.twoLegs, attemptsPerLeg: attempts)
    _ = request.prefilled(withHandoff: withHandoff)
    return request
  }

  @Test(
    arguments: [
      (.twoLegs, .prefill(excluding: [])),
      (.prefillerAlone, .answerOnPrefiller(excluding: [])),
      (.decoderAlone, .decode(withHandoff: false, excluding: [], avoiding: [])),
    ] as [(Route, TwoLegRequest.Action)])
  func `A route begins with its first leg`(route: Route, action: TwoLegRequest.Action) {
    #expect(TwoLegRequest(route, attemptsPerLeg: 3).start() == action)
  }

  @Test(arguments: [true, false])
  func `After the prefill comes the decode`(withHandoff: Bool) {
    var request = TwoLegRequest(.twoLegs, attemptsPerLeg: 3)
    let expected = TwoLegRequest.Action.decode(withHandoff: withHandoff, excluding: [], avoiding: [])
    #expect(request.prefilled(withHandoff: withHandoff) == expected)
  }

  @Test(arguments: [Route.twoLegs, .prefillerAlone])
  func `Prefillers that fail are tried once each, then the decoder prefills`(route: Route) {
    var request = TwoLegRequest(route, attemptsPerLeg: 2)
    let again: TwoLegRequest.Action =
      route == .twoLegs ? .prefill(excluding: [1]) : .answerOnPrefiller(excluding: [1])
    #expect(request.failed(.closed, on: 1) == again)
    #expect(request.failed(.closed, on: 0) == .decode(withHandoff: false, excluding: [], avoiding: []))
  }

  @Test(
    arguments: zip(
      faults,
      [
        .decode(withHandoff: true, excluding: [4], avoiding: []),
        .decode(withHandoff: true, excluding: [4], avoiding: []),
        .decode(withHandoff: false, excluding: [4], avoiding: []),
        .decode(withHandoff: false, excluding: [4], avoiding: []),
        .decode(withHandoff: false, excluding: [], avoiding: [4]),
        .decode(withHandoff: false, excluding: [4], avoiding: []),
        .decode(withHandoff: false, excluding: [], avoiding: [4]),
        .decode(withHandoff: false, excluding: [], avoiding: [4]),
        .decode(withHandoff: false, excluding: [4], avoiding: []),
      ] as [TwoLegRequest.Action]))
  func `A fault with a handoff decides whether handoff and decoder are used again`(
    fault: LegFault, action: TwoLegRequest.Action
  ) {
    var request = Self.decoding()
    #expect(request.failed(fault, on: 4) == action)
  }

  @Test(arguments: faults)
  func `A plain decode is tried on as many decoders as a leg may be, then the last fault is the answer`(
    fault: LegFault
  ) {
    var request = Self.decoding(withHandoff: false, attempts: 2)
    #expect(request.failed(.closed, on: 0) == .decode(withHandoff: false, excluding: [0], avoiding: []))
    #expect(request.failed(fault, on: 1) == .answerError(fault))
    #expect(request.state == .done)
  }

  @Test(arguments: faults)
  func `What breaks after the answer has begun ends it`(fault: LegFault) {
    var request = Self.decoding()
    request.relayed()
    #expect(request.failed(fault, on: 0) == .breakStream(fault))
    #expect(request.failed(fault, on: 0) == .nothing && request.noWorker() == .nothing)
  }

  @Test func `The request's own deadline is no reason to try elsewhere`() {
    var prefilling = TwoLegRequest(.twoLegs, attemptsPerLeg: 3)
    #expect(prefilling.failed(.deadline(.request), on: 0) == .answerError(.deadline(.request)))
    var decoding = Self.decoding()
    #expect(decoding.failed(.deadline(.request), on: 0) == .answerError(.deadline(.request)))
  }

  @Test func `Nothing follows the end`() {
    var request = Self.decoding()
    request.ended()
    #expect(request.failed(.closed, on: 0) == .nothing)
    #expect(request.noWorker() == .nothing && request.prefilled(withHandoff: true) == .nothing)
  }
}
