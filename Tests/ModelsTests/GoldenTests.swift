import Glibc
import KVBlocks
import Kernels
import Models
import TestSupport
import Testing

/// The reference model against the recorded outputs, within the tolerances that they came with.
@Suite(.serialized) struct GoldenTests {
  @Test(arguments: [ActivationType.float32, .int16])
  func `With f32 KV the greedy tokens and logits are the reference's`(activations: ActivationType) throws {
    let run = try ModelRun(path: referenceModelPath(), blocks: 128, kvElementType: .f32, activations: activations)
    for (prompt, output) in try generate(run) {
      expectTop10(prompt, output.firstLogits, within: 0.01)
      // From its near-tie (margin 0.002) on, this one may go either way.
      let compared = prompt.name == "raw_one_token" ? prompt.greedy_margin.firstIndex { $0 < 0.02 } ?? 32 : 32
      #expect(output.tokens.prefix(compared) == prompt.greedy_ids.prefix(compared), "\(prompt.name)")
    }
  }

  @Test func `With f16 KV they differ only after a near-tie`() throws {
    let run = try ModelRun(path: referenceModelPath(), blocks: 128)
    for (prompt, output) in try generate(run) {
      expectTop10(prompt, output.firstLogits, within: 0.15)
      let nearTie = prompt.greedy_margin.firstIndex { $0 < 0.02 } ?? 32
      #expect(output.tokens.prefix(nearTie) == prompt.greedy_ids.prefix(nearTie), "\(prompt.name)")
    }
  }

  @Test func `With q8_0 KV they differ only after a near-tie`() throws {
    let run = try ModelRun(path: referenceModelPath(), blocks: 128, kvElementType: .q8_0)
    for (prompt, output) in try generate(run) {
      expectTop10(prompt, output.firstLogits, within: 0.6)
      let nearTie = prompt.greedy_margin.firstIndex { $0 < 0.3 } ?? 32
      #expect(output.tokens.prefix(nearTie) == prompt.greedy_ids.prefix(nearTie), "\(prompt.name)")
    }
  }

  @Test func `Perplexity is the reference's 18,3001 within half a percent`() throws {
    let run = try ModelRun(path: referenceModelPath(), blocks: 40)
    var negativeLogLikelihood = 0.0
    var predictions = 0
    for chunk in try Golden.perplexityChunks() {
      #expect(chunk.count == 512)
      var sequences = [ModelRun.Sequence()]
      _ = run.step([(0, Array(chunk[..<256]), .none)], on: &sequences)
      let rows = run.step([(0, Array(chunk[256..<511]), .all)], on: &sequences)[0]
      for (logits, next) in zip(rows, chunk[257...]) {
        negativeLogLikelihood -= logLikelihood(of: next, logits)
        predictions += 1
      }
      run.free(sequences)
    }
    let perplexity = exp(negativeLogLikelihood / Double(predictions))
    #expect(predictions == 3570)
    #expect(abs(perplexity / 18.3001 - 1) < 0.005, "perplexity \(perplexity)")
  }

  @Test(arguments: ActivationType.allCases)
  func `On the real model, too, neither chunks nor company nor threads matter`(activations: ActivationType) throws {
    let prompt = try #require(try Golden.load().prompts.first { $0.name == "raw_long" }).prompt_ids.prefix(150)
    let run = try ModelRun(path: referenceModelPath(), threads: 2, blocks: 64, shuffled: true, activations: activations)
    let single = try ModelRun(path: referenceModelPath(), threads: 1, blocks: 64, activations: activations)
    let whole = single.logits(of: Array(prompt))
    for chunks in [[17, 64, 1], [149]] {
      #expect(zip(whole, run.logits(of: Array(prompt), chunks: chunks)).allSatisfy { $0.isSameBits(as: $1) })
    }
    var sequences = [ModelRun.Sequence(), ModelRun.Sequence(), ModelRun.Sequence()]
    _ = run.step([(1, Array(prompt.suffix(40)), .last), (0, Array(prompt.prefix(140)), .none)], on: &sequences)
    let rows = prompt.suffix(10).map { token in
      run.step([(1, [token], .last), (0, [token], .last), (2, [token, 5], .last)], on: &sequences)[1][0]
    }
    #expect(zip(whole.suffix(10), rows).allSatisfy { $0.isSameBits(as: $1) }, "decoded beside two others")
  }

  private typealias Output = (tokens: [Int32], firstLogits: Logits)

  /// Prefills every prompt, then decodes all of them in one batch at temperature 0.
  private func generate(_ run: ModelRun) throws -> [(Golden.Prompt, Output)] {
    let prompts = try Golden.load().prompts
    var sequences = Array(repeating: ModelRun.Sequence(), count: prompts.count)
    var outputs = prompts.enumerated().map { index, prompt -> Output in
      let logits = run.step([(index, prompt.prompt_ids, .last)], on: &sequences)[0][0]
      return ([logits.argmax], logits)
    }
    for _ in 1..<32 {
      let parts = outputs.enumerated().map { (sequence: $0, tokens: [$1.tokens.last!], wants: ModelRun.LogitRows.last) }
      for (index, rows) in run.step(parts, on: &sequences).enumerated() { outputs[index].tokens.append(rows[0].argmax) }
    }
    return Array(zip(prompts, outputs))
  }

  private func expectTop10(_ prompt: Golden.Prompt, _ logits: Logits, within tolerance: Float) {
    for candidate in prompt.first_token_top10 {
      let found = logits[Int(candidate.id)]
      #expect(abs(found - candidate.logit) < tolerance, "\(prompt.name): token \(candidate.id)")
    }
  }

  private func logLikelihood(of token: Int32, _ logits: Logits) -> Double {
    let top = Double(logits.max()!)
    let sum = logits.reduce(0) { $0 + exp(Double($1) - top) }
    return Double(logits[Int(token)]) - top - log(sum)
  }
}
