/// One request's way over the workers, as a value: events in, what to do next out. It holds no socket, clock or body.
///
///     prefilling ──▶ decoding(handoff) ──▶ relaying ──▶ done
///         │ no prefiller      │ fault         │ ▲ the rest, from its own prefill on
///         └────────▶ decoding(plain) ─┘       ▼ │
///     bothLegs ──▶ relaying                 resuming
///
/// and from everywhere: done.
package struct TwoLegRequest: Sendable, Equatable {
  package enum Action: Sendable, Equatable {
    /// Run the prefill leg on a prefiller not in `excluding`; `noWorker` if there is none.
    case prefill(excluding: Set<Int>)
    /// Run the whole request on a prefiller.
    case answerOnPrefiller(excluding: Set<Int>)
    /// Run the decode leg, with the handoff or, for the decoder to prefill itself, without.
    case decode(withHandoff: Bool, excluding: Set<Int>, avoiding: Set<Int>)
    /// Run both legs at once.
    case both(excludingPrefillers: Set<Int>, excludingDecoders: Set<Int>)
    /// The client has seen a part: make a request of the rest and call `resumed`, or `notResumed`.
    case resume(LegFault)
    /// Nobody can answer, and the client has seen nothing yet.
    case answerError(LegFault?)
    /// The client has seen a part and gets no more.
    case breakStream(LegFault)
    case nothing
  }

  package enum State: Sendable, Equatable {
    case prefilling
    case answeringOnPrefiller
    case decoding(withHandoff: Bool)
    case bothLegs
    /// The client gets the answer.
    case relaying
    /// The relayed answer broke off on this decoder.
    case resuming(from: Int)
    case done
  }

  package private(set) var state: State
  /// The client has a part of the answer.
  package private(set) var hasRelayed = false
  private let timing: HandoffTiming
  private let attemptsPerLeg: Int
  private var migrationsLeft: Int
  private var triedPrefillers: Set<Int> = []
  private var failedDecoders: Set<Int> = []
  private var avoidedDecoders: Set<Int> = []
  private var lastFault: LegFault?

  /// - Parameter migrations: How often an answer that has begun may go on elsewhere.
  package init(_ route: Route, timing: HandoffTiming = .afterPrefill, attemptsPerLeg: Int, migrations: Int = 0) {
    self.timing = timing
    self.attemptsPerLeg = attemptsPerLeg
    migrationsLeft = migrations
    state = Self.beginning(route, timing)
  }

  private static func beginning(_ route: Route, _ timing: HandoffTiming) -> State {
    switch (route, timing) {
    case (.twoLegs, .afterPrefill), (.twoLegs, .pushed): .prefilling
    case (.twoLegs, .together): .bothLegs
    case (.prefillerAlone, _): .answeringOnPrefiller
    case (.decoderAlone, _): .decoding(withHandoff: false)
    }
  }

  package func start() -> Action { next() }

  /// The client has the first token, which the prefill leg's answer had.
  package mutating func firstTokenIsOut() { hasRelayed = true }

  /// The prefill leg's answer is there, with or without a handoff in it.
  package mutating func prefilled(withHandoff: Bool) -> Action {
    guard state == .prefilling else { return .nothing }
    state = .decoding(withHandoff: withHandoff)
    return next()
  }

  /// No worker is left that the last action could be carried out on, or none may be tried.
  package mutating func noWorker() -> Action {
    switch state {
    case .prefilling, .answeringOnPrefiller:
      state = .decoding(withHandoff: false)
      return next()
    case .decoding, .bothLegs: return givenUp()
    case .relaying, .resuming, .done: return .nothing
    }
  }

  /// - Parameter role: Says in `bothLegs` which of the two it was.
  package mutating func failed(_ fault: LegFault, on worker: Int, role: WorkerRole = .decode) -> Action {
    lastFault = fault
    if case .deadline(.request) = fault, state != .done { return givenUp() }
    switch state {
    case .prefilling, .answeringOnPrefiller:
      triedPrefillers.insert(worker)
      return triedPrefillers.count < attemptsPerLeg ? next() : noWorker()
    case .decoding where fault.leavesHandoffUntouched:
      // Another decoder can do with the handoff, if there is one, what this one could not begin.
      failedDecoders.insert(worker)
      return failedDecoders.count < attemptsPerLeg ? next() : noWorker()
    case .decoding(withHandoff: true):
      // The handoff may be used up, or its prefiller dead: another decoder could do no better with it, and this one may
      // do well without.
      state = .decoding(withHandoff: false)
      if fault.blamesHandoff { avoidedDecoders.insert(worker) } else { failedDecoders.insert(worker) }
      return next()
    case .decoding(withHandoff: false):
      failedDecoders.insert(worker)
      return failedDecoders.count < attemptsPerLeg ? next() : noWorker()
    case .bothLegs:
      if role == .prefill { triedPrefillers.insert(worker) } else { failedDecoders.insert(worker) }
      return triedPrefillers.count + failedDecoders.count < attemptsPerLeg ? next() : noWorker()
    case .relaying:
      guard migrationsLeft > 0 else { return givenUp() }
      migrationsLeft -= 1
      state = .resuming(from: worker)
      return .resume(fault)
    case .resuming, .done: return .nothing
    }
  }

  /// The rest of the answer is a request of its own now. A decoder that failed is taken again only if there is no other.
  package mutating func resumed(_ route: Route) -> Action {
    guard case .resuming(let worker) = state else { return .nothing }
    state = Self.beginning(route, timing)
    triedPrefillers = []
    avoidedDecoders.insert(worker)
    failedDecoders = state == .bothLegs ? avoidedDecoders : []
    return next()
  }

  /// The rest of the answer cannot be asked for.
  package mutating func notResumed() -> Action {
    guard case .resuming = state else { return .nothing }
    return givenUp()
  }

  /// The answer has begun well and goes to the client.
  package mutating func relayed() {
    state = .relaying
    hasRelayed = true
  }

  /// The answer is complete, or the client has left.
  package mutating func ended() { state = .done }

  private mutating func givenUp() -> Action {
    state = .done
    if hasRelayed, let lastFault { return .breakStream(lastFault) }
    return .answerError(lastFault)
  }

  private func next() -> Action {
    switch state {
    case .prefilling: .prefill(excluding: triedPrefillers)
    case .answeringOnPrefiller: .answerOnPrefiller(excluding: triedPrefillers)
    case .decoding(let withHandoff):
      .decode(withHandoff: withHandoff, excluding: failedDecoders, avoiding: avoidedDecoders)
    case .bothLegs: .both(excludingPrefillers: triedPrefillers, excludingDecoders: failedDecoders)
    case .relaying, .resuming, .done: .nothing
    }
  }
}

extension LegFault {
  /// Whether the request cannot have reached the worker, so that a handoff in it is as good as before.
  var leavesHandoffUntouched: Bool {
    switch self {
    case .connect, .connectTimeout: true
    default: false
    }
  }

  /// Whether the worker let a deadline pass.
  var isSilence: Bool {
    if case .deadline = self { true } else { false }
  }

  /// Whether a decode leg with a handoff may have failed because of the handoff and not of the decoder.
  var blamesHandoff: Bool {
    switch self {
    case .answered, .errorEvent, .deadline: true
    case .connect, .connectTimeout, .closed, .malformed, .unhealthy, .removed, .tooLarge, .cannotContinue: false
    }
  }
}
