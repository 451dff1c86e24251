/// One request's way over the workers, as a value: events in, what to do next out. It holds no socket, clock or body.
///
///     prefilling ──▶ decoding(handoff) ──▶ relaying ──▶ done
///         │ no prefiller      │ fault
///         └────────▶ decoding(plain) ─┘   and from everywhere: done
package struct TwoLegRequest: Sendable, Equatable {
  package enum Action: Sendable, Equatable {
    /// Run the prefill leg on a prefiller not in `excluding`; `noWorker` if there is none.
    case prefill(excluding: Set<Int>)
    /// Run the whole request on a prefiller.
    case answerOnPrefiller(excluding: Set<Int>)
    /// Run the decode leg, with the handoff or, for the decoder to prefill itself, without.
    case decode(withHandoff: Bool, excluding: Set<Int>, avoiding: Set<Int>)
    /// Nobody can answer, and the client has seen nothing yet.
    case answerError(LegFault?)
    /// The client has seen a part.
    case breakStream(LegFault)
    case nothing
  }

  package enum State: Sendable, Equatable {
    case prefilling
    case answeringOnPrefiller
    case decoding(withHandoff: Bool)
    /// The client has the head of the answer.
    case relaying
    case done
  }

  package private(set) var state: State
  private let attemptsPerLeg: Int
  private var triedPrefillers: Set<Int> = []
  private var failedDecoders: Set<Int> = []
  private var avoidedDecoders: Set<Int> = []
  private var lastFault: LegFault?

  package init(_ route: Route, attemptsPerLeg: Int) {
    self.attemptsPerLeg = attemptsPerLeg
    state =
      switch route {
      case .twoLegs: .prefilling
      case .prefillerAlone: .answeringOnPrefiller
      case .decoderAlone: .decoding(withHandoff: false)
      }
  }

  package func start() -> Action { next() }

  /// The prefill leg's answer is there, with or without a handoff in it.
  package mutating func prefilled(withHandoff: Bool) -> Action {
    guard state == .prefilling else { return .nothing }
    state = .decoding(withHandoff: withHandoff)
    return next()
  }

  /// No worker is left that the last action could be carried out on.
  package mutating func noWorker() -> Action {
    switch state {
    case .prefilling, .answeringOnPrefiller:
      state = .decoding(withHandoff: false)
      return next()
    case .decoding:
      state = .done
      return .answerError(lastFault)
    case .relaying, .done: return .nothing
    }
  }

  package mutating func failed(_ fault: LegFault, on worker: Int) -> Action {
    lastFault = fault
    if case .deadline(.request) = fault, state != .relaying, state != .done {
      state = .done
      return .answerError(fault)
    }
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
    case .relaying:
      state = .done
      return .breakStream(fault)
    case .done: return .nothing
    }
  }

  /// The answer has begun well and goes to the client.
  package mutating func relayed() { state = .relaying }

  /// The answer is complete, or the client has left.
  package mutating func ended() { state = .done }

  private func next() -> Action {
    switch state {
    case .prefilling: .prefill(excluding: triedPrefillers)
    case .answeringOnPrefiller: .answerOnPrefiller(excluding: triedPrefillers)
    case .decoding(let withHandoff):
      .decode(withHandoff: withHandoff, excluding: failedDecoders, avoiding: avoidedDecoders)
    case .relaying, .done: .nothing
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
    case .connect, .connectTimeout, .closed, .malformed, .unhealthy, .tooLarge: false
    }
  }
}
