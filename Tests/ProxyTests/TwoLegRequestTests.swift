import Proxy
import Testing

@Suite struct TwoLegRequestTests {
  private static let faults: [LegFault] = [
    .connect(reason: "refused the connection"), .connectTimeout, .closed, .malformed(.unsupportedVersion),
    .deadline(.firstToken), .unhealthy, .answered(status: 500), .errorEvent, .tooLarge,
  ]

  private static func decoding(withHandoff: Bool = true, attempts: Int = 3, migrations: Int = 0) -> TwoLegRequest {
    var request = TwoLegRequest(.twoLegs, attemptsPerLeg: attempts, migrations: migrations)
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

  @Test(arguments: faults)
  func `An answer that breaks after it has begun is resumed, from its own prefill on`(fault: LegFault) {
    var request = Self.decoding(migrations: 2)
    for _ in 0..<2 {
      request.relayed()
      let broken = [request.failed(fault, on: 3), request.failed(fault, on: 3)]
      #expect(broken == [.resume(fault), .nothing])
      let rest = [request.resumed(.twoLegs), request.prefilled(withHandoff: true)]
      #expect(rest == [.prefill(excluding: []), .decode(withHandoff: true, excluding: [], avoiding: [3])])
    }
    request.relayed()
    let broken = request.failed(fault, on: 3)
    #expect(broken == .breakStream(fault))
  }

  @Test func `What cannot be resumed, or finds no worker, breaks the stream`() {
    var request = Self.decoding(migrations: 1)
    request.relayed()
    _ = request.failed(.closed, on: 0)
    var other = request
    let given = other.notResumed()
    #expect(given == .breakStream(.closed) && other.state == .done)
    let actions = [request.resumed(.decoderAlone), request.failed(.connectTimeout, on: 0), request.noWorker()]
    #expect(
      actions == [
        .decode(withHandoff: false, excluding: [], avoiding: [0]),
        .decode(withHandoff: false, excluding: [0], avoiding: [0]), .breakStream(.connectTimeout),
      ])
  }

  @Test func `Where both legs run at once, each fault is another attempt with other workers`() {
    var request = TwoLegRequest(.twoLegs, timing: .together, attemptsPerLeg: 3)
    let actions = [
      request.start(), request.failed(.closed, on: 1, role: .prefill),
      request.failed(.answered(status: 500), on: 0, role: .decode), request.failed(.closed, on: 2, role: .decode),
    ]
    #expect(
      actions == [
        .both(excludingPrefillers: [], excludingDecoders: []), .both(excludingPrefillers: [1], excludingDecoders: []),
        .both(excludingPrefillers: [1], excludingDecoders: [0]), .answerError(.closed),
      ])
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
