import KVBlocks
import Kernels
import Models
import TestSupport
import Testing

/// A row's logits are the same bits whatever else is computed beside it. That is what makes disaggregated output equal
/// to a single worker's by construction.
@Suite struct BatchInvarianceTests {
  static let prompt = randomTokens(61, seed: 9)

  private func run(
    _ activations: ActivationType, threads: Int = 2, shuffled: Bool = false, blockSize: Int = 16
  ) throws -> ModelRun {
    let file = TinyModel().write(encode: TinyModel.q8_0)
    return try ModelRun(
      path: file.path, threads: threads, blocks: 128, blockSize: blockSize, shuffled: shuffled,
      activations: activations)
  }

  private func expectSame(_ rows: [Logits], _ others: [Logits], _ what: Comment) {
    #expect(rows.count == others.count)
    #expect(zip(rows, others).allSatisfy { $0.isSameBits(as: $1) }, what)
  }

  @Test(arguments: ActivationType.allCases)
  func `Chunks do not matter`(activations: ActivationType) throws {
    let run = try run(activations)
    let whole = run.logits(of: Self.prompt)
    expectSame(whole, run.logits(of: Self.prompt, chunks: [7, 1, 33]), "four odd chunks")
    expectSame(whole, run.logits(of: Self.prompt, chunks: Array(repeating: 1, count: 61)), "token by token")
    expectSame(whole, run.logits(of: Self.prompt, chunks: [16, 16, 16]), "whole blocks")
  }

  @Test(arguments: ActivationType.allCases)
  func `Threads do not matter`(activations: ActivationType) throws {
    expectSame(
      try run(activations, threads: 1).logits(of: Self.prompt),
      try run(activations, threads: 2).logits(of: Self.prompt), "1 and 2")
    expectSame(
      try run(activations, threads: 1).logits(of: Self.prompt),
      try run(activations, threads: 5).logits(of: Self.prompt), "1 and 5")
  }

  @Test(arguments: ActivationType.allCases)
  func `Where the blocks lie does not matter`(activations: ActivationType) throws {
    expectSame(
      try run(activations).logits(of: Self.prompt), try run(activations, shuffled: true).logits(of: Self.prompt),
      "scattered")
    expectSame(
      try run(activations).logits(of: Self.prompt), try run(activations, blockSize: 5).logits(of: Self.prompt),
      "blocks of 5")
    expectSame(
      try run(activations).logits(of: Self.prompt), try run(activations, blockSize: 32).logits(of: Self.prompt),
      "blocks of 32")
  }

  @Test(arguments: ActivationType.allCases)
  func `Other sequences in the batch do not matter`(activations: ActivationType) throws {
    let run = try run(activations, shuffled: true)
    let alone = run.logits(of: Self.prompt)
    let (a, b, c) = (randomTokens(40, seed: 10), randomTokens(3, seed: 11), randomTokens(29, seed: 12))
    var sequences = Array(repeating: ModelRun.Sequence(), count: 4)
    var rows: [Logits] = []
    rows += run.step([(0, Array(Self.prompt[..<20]), .all), (1, a, .none)], on: &sequences)[0]
    rows +=
      run.step(
        [(2, b, .last), (1, [7], .last), (0, Array(Self.prompt[20..<21]), .all), (3, c, .all)], on: &sequences)[2]
    rows +=
      run.step(
        [(1, [8], .last), (2, [9], .last), (0, Array(Self.prompt[21...]), .all), (3, [10], .none)], on: &sequences)[2]
    expectSame(alone, rows, "beside three others")
  }

  @Test(arguments: ActivationType.allCases)
  func `The rows asked for are the same as when all are`(activations: ActivationType) throws {
    let run = try run(activations)
    let all = run.logits(of: Self.prompt)
    var sequences = [ModelRun.Sequence()]
    #expect(run.step([(0, Array(Self.prompt[..<30]), .none)], on: &sequences)[0].isEmpty)
    let last = run.step([(0, Array(Self.prompt[30...]), .last)], on: &sequences)[0]
    expectSame([all[60]], last, "only the last")
  }

  @Test(arguments: ActivationType.allCases)
  func `Blocks computed elsewhere serve as well`(activations: ActivationType) throws {
    let (prefiller, decoder) = (try run(activations), try run(activations, shuffled: true))
    var there = [ModelRun.Sequence()]
    _ = prefiller.step([(0, Array(Self.prompt[..<48]), .none)], on: &there)
    var here = [ModelRun.Sequence()]
    _ = decoder.step([(0, Array(repeating: 5, count: 48), .none)], on: &here)
    for (source, target) in zip(there[0].blocks, here[0].blocks) {
      decoder.kv.bytes(of: target).copyMemory(from: UnsafeRawBufferPointer(prefiller.kv.bytes(of: source)))
    }
    let rest = decoder.step([(0, Array(Self.prompt[48...]), .all)], on: &here)[0]
    expectSame(Array(prefiller.logits(of: Self.prompt)[48...]), rest, "48 tokens of KV copied")
  }
}
