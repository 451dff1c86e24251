import Foundation
import KVBlocks
import KVTransfer
import TestSupport
import Testing
import Worker

/// The main promise: disaggregated output equals single-worker output, token for token.
@Suite(.serialized) struct DisaggregationTests {
  /// A request and what one aggregated worker answers to it.
  struct Case: Sendable {
    var prompt: [Int32]
    var greedy: Completion
    var seeded: Completion
  }

  static let shortLengths = [1, 2, 15, 16, 17, 33, 100, 257]
  static let longLengths = [511, 1900]

  @Test func `Disaggregated output equals single-worker output`() async throws {
    let cases = try await references(Self.shortLengths + Self.longLengths)
    try await compare(cases, prefillers: 1, transports: .shm)
    try await compare(cases, prefillers: 2, transports: .tcp)
    let short = Array(cases.prefix(Self.shortLengths.count))
    try await compare(short, prefillers: 1, transports: .tcp)
    try await compare(short, prefillers: 2, transports: .shm, followsPrefill: false)
    if nixlIsInstalled { try await compare(Array(short.suffix(3)), prefillers: 1, transports: .nixl) }
  }

  @Test(arguments: [KVLayout.ElementType.f32, .q8_0])
  func `So it is with keys and values of any type`(kv: KVLayout.ElementType) async throws {
    let cases = try await references([17, 300], kv: kv)
    try await compare(cases, prefillers: 1, transports: .shm, kv: kv)
  }

  @Test(arguments: ["gemma3", "phi3"])
  func `So it is with windows, and with other architectures out of a folder`(name: String) async throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "ModelsTests/Fixtures/tiny/\(name)").path
    var generator = SplitMix64(seed: 21)
    let prompts = [20, 70, 200].map { length in (0..<length).map { _ in Int32.random(in: 3..<262, using: &generator) } }
    func answers(_ port: Int) async throws -> [Completion] {
      var answers: [Completion] = []
      for prompt in prompts {
        for sampling in [Sampling.greedy, .seeded] {
          answers.append(try await complete(port: port, prompt: prompt, sampling, maxTokens: 40, model: "tiny"))
        }
      }
      return answers
    }
    let expected = try await Deployment.single(model: folder) { try await answers($0.port) }
    for transports in [TransferConfiguration.Transports.shm, .tcp] {
      try await Deployment.run(prefillers: 1, decoders: 1, transports: transports, model: folder) { deployment in
        let given = try await answers(deployment.proxy.port)
        #expect(given == expected, "\(transports)")
        let decoder = deployment.decoders[0].statistics
        #expect(decoder.promptTokens.computed == 2 * prompts.count && decoder.pullFailures == 0)
      }
    }
  }

  @Test func `A handoff between KV of different types is refused, and the decoder computes the prompt`() async throws {
    let cases = try await references([100], kv: .q8_0)
    try await Deployment.run(prefillers: 1, decoders: 1, transports: .auto, kv: .f16, decoderKV: .q8_0) { deployment in
      let answer = try await complete(port: deployment.proxy.port, prompt: cases[0].prompt, .greedy)
      #expect(answer == cases[0].greedy)
      let decoder = deployment.decoders[0].statistics
      #expect(decoder.promptTokens.pulled == 0 && decoder.promptTokens.computed == 100)
      #expect(decoder.pullFailures == 1)
    }
  }

  /// As LMCache's example: the router knows nothing of KV, and sends the same body first to a prefiller, then to the
  /// decoder.
  @Test func `Pushed output equals single-worker output`() async throws {
    let cases = try await references([1, 16, 17, 257])
    try await comparePushed(cases, transports: .shm)
    try await comparePushed(cases, transports: .tcp)
  }

  private func comparePushed(_ cases: [Case], transports: TransferConfiguration.Transports) async throws {
    try await Deployment.pushing(transports: transports) { prefiller, decoder in
      try await inParallel(cases, atOnce: 4) { each in
        _ = try await complete(port: prefiller.port, prompt: each.prompt, .greedy, maxTokens: 1)
        let answer = try await complete(port: decoder.port, prompt: each.prompt, .greedy)
        #expect(answer == each.greedy, "\(each.prompt.count) tokens over \(transports)")
      }
      // Without a push it is computed, and the same.
      #expect(
        try await complete(port: decoder.port, prompt: cases[2].prompt.reversed(), .greedy).usage.prompt_tokens == 17)
      let statistics = decoder.statistics
      #expect(statistics.promptTokens.pulled == cases.reduce(0) { $0 + $1.prompt.count - 1 })
      #expect(statistics.promptTokens.computed == cases.count + 17)
      for worker in [prefiller, decoder] { try await expectAllFree(worker) }
    }
  }

  /// Eight at once, first greedy, then at a fixed seed; then everything must be free again.
  private func compare(
    _ cases: [Case], prefillers: Int, transports: TransferConfiguration.Transports, kv: KVLayout.ElementType = .f16,
    followsPrefill: Bool = true
  ) async throws {
    try await Deployment.run(
      prefillers: prefillers, decoders: 1, transports: transports, kv: kv, followsPrefill: followsPrefill
    ) { deployment in
      let label = "\(prefillers)p1d over \(transports), \(kv)"
      for sampling in [Sampling.greedy, .seeded] {
        try await inParallel(cases, atOnce: 8) { each in
          let answer = try await complete(port: deployment.proxy.port, prompt: each.prompt, sampling)
          let expected = sampling.seed == nil ? each.greedy : each.seeded
          #expect(answer == expected, "\(label), \(each.prompt.count) tokens, seed \(sampling.seed ?? -1)")
        }
      }
      let decoder = deployment.decoders[0].statistics
      // The last token of each prompt is computed for its logits; all others came from a prefiller.
      let expected = 2 * cases.reduce(0) { $0 + $1.prompt.count - 1 }
      #expect(decoder.promptTokens.pulled == expected, "\(label)")
      #expect(decoder.promptTokens.computed == 2 * cases.count, "\(label)")
      #expect(decoder.pullFailures == 0, "\(label)")
      // A long prompt takes seconds to compute; its decoder is there long before.
      if cases.count > Self.shortLengths.count { #expect(decoder.followedPulls > 0, "\(label)") }
      if !followsPrefill { #expect(decoder.followedPulls == 0, "\(label)") }
      for worker in deployment.prefillers + deployment.decoders { try await expectAllFree(worker) }
    }
  }

  private func references(_ lengths: [Int], kv: KVLayout.ElementType = .f16) async throws -> [Case] {
    var generator = SplitMix64(seed: 20)
    let prompts = lengths.map { length in (0..<length).map { _ in Int32.random(in: 20..<49_000, using: &generator) } }
    var cases: [Case] = []
    try await Deployment.single(kv: kv) { worker in
      for prompt in prompts {
        cases.append(
          Case(
            prompt: prompt, greedy: try await complete(port: worker.port, prompt: prompt, .greedy),
            seeded: try await complete(port: worker.port, prompt: prompt, .seeded)))
      }
    }
    return cases
  }

  /// Waits for the decoder's acknowledgements, which may be a moment behind the answers.
  private func expectAllFree(_ worker: Worker) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(20)
    while worker.statistics.freeBlocks < worker.statistics.totalBlocks, clock.now < deadline { await Task.yield() }
    #expect(worker.statistics.freeBlocks == worker.statistics.totalBlocks)
  }
}

private let nixlIsInstalled = (try? NixlLibrary.open(nil)) != nil

/// Runs `body` over all elements, at most `atOnce` at a time.
func inParallel<Element: Sendable>(
  _ elements: [Element], atOnce: Int, _ body: @escaping @Sendable (Element) async throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    for (index, element) in elements.enumerated() {
      if index >= atOnce { try await group.next() }
      group.addTask { try await body(element) }
    }
    try await group.waitForAll()
  }
}
