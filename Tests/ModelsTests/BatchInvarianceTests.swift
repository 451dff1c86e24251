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
    _ mode: Mode, threads: Int = 2, shuffled: Bool = false, blockSize: Int = 16
  ) throws -> ModelRun {
    var tiny = TinyModel()
    (tiny.heads, tiny.headDim) = (4, 32)
    let file = tiny.write(encode: TinyModel.q8_0)
    return try ModelRun(
      path: file.path, threads: threads, blocks: 128, blockSize: blockSize, kvElementType: mode.kv, shuffled: shuffled,
      activations: mode.activations)
  }

  struct Mode: Sendable {
    var activations = ActivationType.standard
    var kv = KVLayout.ElementType.f16

    static let all = [
      Mode(), Mode(activations: .float32), Mode(activations: .int8), Mode(kv: .q8_0), Mode(kv: .f32),
    ]
  }

  private func expectSame(_ rows: [Logits], _ others: [Logits], _ what: Comment) {
    #expect(rows.count == others.count)
    #expect(zip(rows, others).allSatisfy { $0.isSameBits(as: $1) }, what)
  }

  @Test(arguments: Mode.all)
  func `Chunks do not matter`(mode: Mode) throws {
    let run = try run(mode)
    let whole = run.logits(of: Self.prompt)
    expectSame(whole, run.logits(of: Self.prompt, chunks: [7, 1, 33]), "four odd chunks")
    expectSame(whole, run.logits(of: Self.prompt, chunks: Array(repeating: 1, count: 61)), "token by token")
    expectSame(whole, run.logits(of: Self.prompt, chunks: [16, 16, 16]), "whole blocks")
  }

  @Test(arguments: Mode.all)
  func `Threads do not matter`(mode: Mode) throws {
    expectSame(
      try run(mode, threads: 1).logits(of: Self.prompt),
      try run(mode, threads: 2).logits(of: Self.prompt), "1 and 2")
    expectSame(
      try run(mode, threads: 1).logits(of: Self.prompt),
      try run(mode, threads: 5).logits(of: Self.prompt), "1 and 5")
  }

  @Test(arguments: Mode.all)
  func `Where the blocks lie does not matter`(mode: Mode) throws {
    expectSame(
      try run(mode).logits(of: Self.prompt), try run(mode, shuffled: true).logits(of: Self.prompt),
      "scattered")
    expectSame(
      try run(mode).logits(of: Self.prompt), try run(mode, blockSize: 5).logits(of: Self.prompt),
      "blocks of 5")
    expectSame(
      try run(mode).logits(of: Self.prompt), try run(mode, blockSize: 32).logits(of: Self.prompt),
      "blocks of 32")
  }

  @Test(arguments: Mode.all)
  func `Other sequences in the batch do not matter`(mode: Mode) throws {
    let run = try run(mode, shuffled: true)
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

  @Test(arguments: Mode.all)
  func `The rows asked for are the same as when all are`(mode: Mode) throws {
    let run = try run(mode)
    let all = run.logits(of: Self.prompt)
    var sequences = [ModelRun.Sequence()]
    #expect(run.step([(0, Array(Self.prompt[..<30]), .none)], on: &sequences)[0].isEmpty)
    let last = run.step([(0, Array(Self.prompt[30...]), .last)], on: &sequences)[0]
    expectSame([all[60]], last, "only the last")
  }

  @Test(arguments: Mode.all)
  func `Blocks computed elsewhere serve as well`(mode: Mode) throws {
    let (prefiller, decoder) = (try run(mode), try run(mode, shuffled: true))
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
