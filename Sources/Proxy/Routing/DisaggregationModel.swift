/// Below how many tokens that the decoder has not seen a request skips the prefiller.
package enum DisaggregationThreshold: Sendable, Equatable {
  /// 0: every request takes both legs.
  case tokens(Int)
  /// Learned from the times of both ways.
  case auto
}

/// What a decision has to do with; a closed set, for a metric's label.
package enum DisaggregationDecision: String, Sendable, CaseIterable {
  case disaggregated
  /// The whole prompt is short.
  case short
  /// What the decoder has not seen of the prompt is short.
  case cached
  /// Sent to the decoder alone to learn how long that takes.
  case measured
  /// Prefiller and decoder are one process.
  case sameWorker = "same_worker"

  package var skipsPrefiller: Bool { self != .disaggregated }
}

/// A prompt in tokens, as far as they are known (`PromptBlocks.tokens`).
package struct PromptSize: Sendable, Equatable {
  package var tokens: Int
  /// Not seen lately by the prefiller.
  package var newToPrefiller: Int
  package var newToDecoder: Int

  package init(tokens: Int, newToPrefiller: Int, newToDecoder: Int) {
    self.tokens = tokens
    self.newToPrefiller = newToPrefiller
    self.newToDecoder = newToDecoder
  }
}

/// Decides whether a prompt is worth the way over a prefiller. A value: times are handed in, and it holds no clock.
///
/// Two legs take the prefill leg, which grows with what is new to the prefiller, and the decode leg up to its first
/// token, which grows with what must be moved. The decoder alone takes a time that grows with what is new to it, and
/// holds up each stream that it runs for as long; so its growing part counts once more for each of them. The prefiller
/// is skipped if that is a clear gain.
package struct DisaggregationModel: Sendable {
  /// Two-leg requests that must be measured before anything is decided.
  package static let leastTwoLegs = 64
  /// The same of requests that a decoder served alone.
  package static let leastAlone = 8
  /// Where both legs together take less, nothing is worth a decision.
  package static let leastSeconds = 0.010
  /// The decoder alone must take less than this share of the two legs' time.
  package static let clearGain = 0.8
  /// Of the prompts that might gain, one in this many goes the other way, to be measured; more seldom once enough were.
  package static let measuresFirst = 32
  package static let measuresLater = 256
  /// In tokens, as long as nothing is known of longer ones.
  package static let shortEnoughToTry = 256.0

  package let threshold: DisaggregationThreshold
  package private(set) var prefillLeg = LinearFit()
  package private(set) var decodeLeg = LinearFit()
  package private(set) var decoderAlone = LinearFit()
  private var sinceMeasured = 0

  package init(_ threshold: DisaggregationThreshold) { self.threshold = threshold }

  package mutating func prefillLegTook(_ seconds: Double, _ size: PromptSize) {
    prefillLeg.add(x: Double(size.newToPrefiller), y: seconds)
  }

  /// - Parameter seconds: From the leg's start to its first token.
  package mutating func decodeLegTook(_ seconds: Double, _ size: PromptSize, withHandoff: Bool) {
    let tokens = Double(size.newToDecoder)
    if withHandoff { decodeLeg.add(x: tokens, y: seconds) } else { decoderAlone.add(x: tokens, y: seconds) }
  }

  /// - Parameters: running: streams that the decoder runs now. isStreamed: whether the first token can be timed.
  package mutating func decide(_ size: PromptSize, running: Int, isStreamed: Bool) -> DisaggregationDecision {
    switch threshold {
    case .tokens(let limit):
      if size.tokens < limit { return .short }
      return size.newToDecoder < limit ? .cached : .disaggregated
    case .auto:
      let decision = judge(size, running: running)
      guard isStreamed, let other = other(than: decision, size) else { return decision }
      sinceMeasured += 1
      let interval = decoderAlone.count < Self.leastAlone ? Self.measuresFirst : Self.measuresLater
      guard sinceMeasured >= interval else { return decision }
      sinceMeasured = 0
      return other
    }
  }

  private func judge(_ size: PromptSize, running: Int) -> DisaggregationDecision {
    guard decoderAlone.count >= Self.leastAlone, isWorthTrying(size) else { return .disaggregated }
    let alone = decoderAlone.line
    func gains(_ newTokens: Int) -> Bool {
      Double(newTokens) <= 2 * decoderAlone.reach
        && alone.base + alone.slope * Double(newTokens) * Double(1 + running) < Self.clearGain * twoLegs(size)
    }
    if gains(size.tokens) { return .short }
    return gains(size.newToDecoder) ? .cached : .disaggregated
  }

  /// The way to measure in place of the one decided, so that both ways' times stay fresh; nil if that is not worth it.
  private func other(than decision: DisaggregationDecision, _ size: PromptSize) -> DisaggregationDecision? {
    if decision.skipsPrefiller { return .disaggregated }
    let isShort = Double(size.newToDecoder) <= max(Self.shortEnoughToTry, 2 * decoderAlone.reach)
    return isShort && isWorthTrying(size) ? .measured : nil
  }

  private func isWorthTrying(_ size: PromptSize) -> Bool {
    prefillLeg.count >= Self.leastTwoLegs && decodeLeg.count >= Self.leastTwoLegs && twoLegs(size) >= Self.leastSeconds
  }

  private func twoLegs(_ size: PromptSize) -> Double {
    let (prefill, decode) = (prefillLeg.line, decodeLeg.line)
    return prefill.base + prefill.slope * Double(size.newToPrefiller) + decode.base
      + decode.slope * Double(size.newToDecoder)
  }

  /// The threshold for an idle decoder and a prompt that nobody has seen: a request with fewer tokens skips the prefiller.
  package var tokens: Int {
    if case .tokens(let limit) = threshold { return limit }
    // What the two legs take longer, over the tokens: a line, so that a prompt gains up to where it meets zero.
    let (alone, prefill, decode) = (decoderAlone.line, prefillLeg.line, decodeLeg.line)
    let base = Self.clearGain * (prefill.base + decode.base) - alone.base
    let slope = Self.clearGain * (prefill.slope + decode.slope) - alone.slope
    let most = 2 * decoderAlone.reach
    let longest = Int(min(slope < 0 ? (base / -slope).rounded(.up) - 1 : most, most, 1e9))
    let size = PromptSize(tokens: longest, newToPrefiller: longest, newToDecoder: longest)
    return judge(size, running: 0).skipsPrefiller ? longest + 1 : 0
  }
}
