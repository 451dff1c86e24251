import HTTPTestSupport
import NIOCore
import Proxy
import Testing

/// Times of a fleet as lines over the tokens, in seconds.
private struct Fleet {
  var prefill = (base: 0.010, slope: 0.0002)
  var decode = (base: 0.005, slope: 0.00001)
  var alone = (base: 0.005, slope: 0.001)

  func serve(_ size: PromptSize, alone isAlone: Bool, _ model: inout DisaggregationModel) {
    func seconds(_ line: (base: Double, slope: Double), _ tokens: Int) -> Double {
      line.base + line.slope * Double(tokens)
    }
    if isAlone {
      model.decodeLegTook(seconds(alone, size.newToDecoder), size, withHandoff: false)
    } else {
      model.prefillLegTook(seconds(prefill, size.newToPrefiller), size)
      model.decodeLegTook(seconds(decode, size.newToDecoder), size, withHandoff: true)
    }
  }
}

private func unseen(_ tokens: Int) -> PromptSize {
  PromptSize(tokens: tokens, newToPrefiller: tokens, newToDecoder: tokens)
}

@Suite struct LinearFitTests {
  @Test func `A line is found, and one that drifts is followed`() {
    var dice = TestDice(seed: 1)
    var fit = LinearFit()
    for slope in [2.0, 5.0] {
      for _ in 0..<3_000 {
        let x = Double.random(in: 1...100, using: &dice)
        fit.add(x: x, y: 3 + slope * x)
      }
      #expect(abs(fit.line.base - 3) < 0.5 && abs(fit.line.slope - slope) < 0.05)
    }
  }

  @Test(
    arguments: [
      ([], (0, 0)), ([(0, 4)], (4, 0)), ([(10, 5)], (0, 0.5)), ([(10, 5), (10, 7)], (0, 0.6)),
      ([(1, 9), (9, 1)], (5, 0)), ([(1, 0.1), (2, 4)], (0, 1.6)),
    ] as [([(Double, Double)], (Double, Double))])
  func `No line goes below zero, and none is invented`(samples: [(Double, Double)], line: (Double, Double)) {
    var fit = LinearFit()
    for sample in samples { fit.add(x: sample.0, y: sample.1) }
    #expect(abs(fit.line.base - line.0) < 0.05 && abs(fit.line.slope - line.1) < 0.05, "\(fit.line)")
  }
}

@Suite struct DisaggregationModelTests {
  @Test(
    arguments: [
      (0, 0, 0, .disaggregated), (100, 99, 99, .short), (100, 100, 100, .disaggregated), (100, 500, 99, .cached),
      (100, 500, 100, .disaggregated),
    ] as [(Int, Int, Int, DisaggregationDecision)])
  func `A fixed threshold counts what the decoder has not seen`(
    threshold: Int, tokens: Int, new: Int, decision: DisaggregationDecision
  ) {
    var model = DisaggregationModel(.tokens(threshold))
    let size = PromptSize(tokens: tokens, newToPrefiller: tokens, newToDecoder: new)
    #expect(model.decide(size, running: 9, isStreamed: false) == decision)
    #expect(model.tokens == threshold)
  }

  @Test func `Without measurements everything takes both legs`() {
    var model = DisaggregationModel(.auto)
    let fleet = Fleet()
    for number in 1..<DisaggregationModel.leastTwoLegs {
      #expect(model.decide(unseen(number), running: 0, isStreamed: true) == .disaggregated)
      fleet.serve(unseen(number), alone: false, &model)
    }
    #expect(model.tokens == 0 && model.decide(unseen(1), running: 0, isStreamed: true) == .disaggregated)
  }

  /// Serves prompts of 1 to `longest` tokens, each as the model decides.
  private func learned(_ fleet: Fleet, longest: Int = 400, isStreamed: Bool = true) -> DisaggregationModel {
    var dice = TestDice(seed: 2)
    var model = DisaggregationModel(.auto)
    for _ in 0..<4_000 {
      let size = unseen(Int.random(in: 1...longest, using: &dice))
      let decision = model.decide(size, running: 0, isStreamed: isStreamed)
      fleet.serve(size, alone: decision.skipsPrefiller, &model)
    }
    return model
  }

  @Test func `The threshold goes to where both ways take as long, less the gain that must be clear`() {
    var model = learned(Fleet())
    // 0.005 + 0.001 t = 0.8 · (0.015 + 0.00021 t)
    let expected = (0.8 * 0.015 - 0.005) / (0.001 - 0.8 * 0.00021)
    #expect(abs(Double(model.tokens) - expected) < 3, "\(model.tokens), not \(expected)")
    #expect(model.decide(unseen(200), running: 0, isStreamed: false) == .disaggregated)
    #expect(model.decide(unseen(5), running: 0, isStreamed: false) == .short)
  }

  @Test(
    arguments: [
      // tokens, new to the prefiller, new to the decoder, streams on the decoder, decision
      (20, 20, 20, 0, .short), (200, 200, 200, 0, .disaggregated), (4_000, 4_000, 20, 0, .cached),
      (4_000, 20, 20, 0, .cached), (4_000, 20, 200, 0, .disaggregated), (20, 20, 20, 8, .disaggregated),
      (4_000, 4_000, 20, 20, .cached), (4_000, 4_000, 20, 40, .disaggregated),
    ] as [(Int, Int, Int, Int, DisaggregationDecision)])
  func `What is short, cached or would hold up streams is told apart`(
    tokens: Int, newToPrefiller: Int, newToDecoder: Int, running: Int, decision: DisaggregationDecision
  ) {
    var model = learned(Fleet(prefill: (0.030, 0.0002)))
    let size = PromptSize(tokens: tokens, newToPrefiller: newToPrefiller, newToDecoder: newToDecoder)
    #expect(model.decide(size, running: running, isStreamed: false) == decision)
  }

  @Test func `Where the decoder alone is no faster, nothing skips but what is measured, seldom`() {
    var model = learned(Fleet(alone: (0.050, 0.001)))
    #expect(model.tokens == 0)
    let decisions = (0..<2_000).map { _ in model.decide(unseen(10), running: 0, isStreamed: true) }
    #expect(decisions.filter { $0 == .measured }.count <= 2_000 / DisaggregationModel.measuresLater + 1)
    #expect(decisions.allSatisfy { $0 == .measured || $0 == .disaggregated })
  }

  @Test func `Where both legs take next to nothing, or nothing is streamed, nothing is tried`() {
    let quick = learned(Fleet(prefill: (0.001, 0), decode: (0.001, 0), alone: (0.0001, 0)))
    #expect(quick.decoderAlone.count == 0)
    #expect(learned(Fleet(), isStreamed: false).decoderAlone.count == 0)
  }

  @Test func `What lies far beyond all that was measured takes both legs`() {
    var model = learned(Fleet(alone: (0.001, 0)), longest: 100)
    #expect((1...201).contains(model.tokens))
    #expect(model.decide(unseen(1_000), running: 0, isStreamed: false) == .disaggregated)
  }

  @Test func `While all skip the prefiller, some still take both legs, so that a change is seen`() {
    var model = learned(Fleet(prefill: (0.5, 0)), longest: 50)
    let decisions = (0..<2_560).map { _ in model.decide(unseen(20), running: 0, isStreamed: true) }
    #expect(decisions.filter { $0 == .disaggregated }.count == 2_560 / DisaggregationModel.measuresLater)
  }
}

@Suite(.timeLimit(.minutes(5))) struct DisaggregationTests {
  @Test(arguments: [0, 10, 1_000_000])
  func `A prompt below the threshold skips the prefiller, and the metric says so`(threshold: Int) async throws {
    try await Deployment.run(configure: { $0.disaggregation = .tokens(threshold) }) { deployment in
      let (short, long) = (#"{"prompt":"x"}"#, #"{"prompt":"\#(String(repeating: "word ", count: 100))"}"#)
      for body in [short, long] {
        let answer = try await deployment.post(body)
        #expect(answer.body.contains("d1"))
      }
      let skipped = threshold == 0 ? 0 : threshold == 10 ? 1 : 2
      #expect(deployment.prefillers[0].bodies.count == 2 - skipped)
      #expect(Array(deployment.decoders[0].bodies.prefix(skipped)) == Array([short, long].prefix(skipped)))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"xpyd:disagg_decisions_total{decision="short"} \#(skipped)"#))
      #expect(metrics.contains(#"xpyd:disagg_decisions_total{decision="disaggregated"} \#(2 - skipped)"#))
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""threshold_tokens":\#(threshold)"#))
    }
  }

  @Test func `A proxy that has measured nothing yet sends every request over a prefiller`() async throws {
    try await Deployment.run(configure: { $0.disaggregation = .auto }) { deployment in
      for _ in 0..<20 { _ = try await deployment.post(#"{"prompt":"x","stream":true}"#) }
      #expect(deployment.prefillers[0].bodies.count == 20)
      let stats = try await deployment.get("/stats").body
      #expect(stats.contains(#""threshold":"auto","threshold_tokens":0,"#) && stats.contains(#""samples":20"#))
    }
  }

  @Test func `A prompt that its decoder has seen skips the prefiller there`() async throws {
    try await Deployment.run(
      decoders: [.answers, .answers],
      configure: {
        // Up to a block, or 128 tokens, counts as new even if it is not.
        $0.disaggregation = .tokens(150)
        $0.decodePolicy = .prefixAware
      }
    ) { deployment in
      let stem = String(repeating: "word ", count: 400)
      for turn in ["", "more", "and more"] { _ = try await deployment.post(#"{"prompt":"\#(stem)\#(turn)"}"#) }
      #expect(deployment.prefillers[0].bodies.count == 1)
      #expect(deployment.decoders.map(\.bodies.count).sorted() == [0, 3])
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"xpyd:disagg_decisions_total{decision="cached"} 2"#))
    }
  }

  @Test func `A request that skips the prefiller outlives its decoder`() async throws {
    try await Deployment.run(decoders: [.status(500), .answers], configure: { $0.disaggregation = .tokens(100) }) {
      deployment in
      for _ in 0..<4 {
        let answer = try await deployment.post(#"{"prompt":"x"}"#)
        #expect(answer.body.contains(#""text":"d2""#))
      }
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct MixedFleetTests {
  @Test func `A worker of both roles serves a request alone, in one leg`() async throws {
    try await Deployment.run(prefillers: [], configure: { $0.moveDecodersToBoth() }) { deployment in
      let sent = [#"{"prompt":"x"}"#, #"{"prompt":"y","stream":true}"#]
      for body in sent { _ = try await deployment.post(body) }
      #expect(deployment.decoders[0].bodies == sent.map(Deployment.followed))
      let metrics = try await deployment.get("/metrics").body
      #expect(metrics.contains(#"xpyd:disagg_decisions_total{decision="same_worker"} 2"#))
      #expect(metrics.contains(#"proxy_fallbacks_total{reason="no_prefiller"} 0"#))
      let ready = try await deployment.get("/ready")
      #expect(ready.head.hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test func `Two workers of both roles take one leg or the two of a pair, and none hands over to itself`() async throws
  {
    try await Deployment.run(
      prefillers: [], decoders: [.answers, .answers], configure: { $0.moveDecodersToBoth() }
    ) { deployment in
      for number in 0..<8 { _ = try await deployment.post(#"{"prompt":"\#(number)"}"#) }
      let bodies = deployment.decoders.map(\.bodies)
      for number in 0..<8 {
        let legs = bodies.map { $0.filter { $0.hasPrefix(#"{"prompt":"\#(number)""#) } }
        switch (legs[0].count, legs[1].count) {
        case (1, 1): #expect((legs[0] + legs[1]).allSatisfy { $0.contains("kv_transfer_params") })
        case (1, 0), (0, 1): #expect((legs[0] + legs[1]) == [#"{"prompt":"\#(number)"}"#])
        default: Issue.record("\(legs)")
        }
      }
      // Round robin comes to each of the four pairs twice, and two of them are one worker.
      #expect(bodies[0].count + bodies[1].count == 12)
    }
  }

  @Test func `Beside a prefiller and a decoder a worker of both roles takes any leg`() async throws {
    try await Deployment.run(
      prefillers: [.answers], decoders: [.answers, .answers],
      configure: { $0.both = [$0.decoders.removeLast()] }
    ) { deployment in
      for number in 0..<8 { _ = try await deployment.post(#"{"prompt":"\#(number)"}"#) }
      #expect(deployment.prefillers[0].bodies.count == 4)
      #expect(deployment.decoders[0].bodies.count == 4)
      #expect(deployment.decoders[1].bodies.count == 2 + 2 + 2)
    }
  }
}

extension ProxyConfiguration {
  fileprivate mutating func moveDecodersToBoth() {
    both = decoders
    decoders = []
  }
}
