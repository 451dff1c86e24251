import KVBlocks
import Kernels
import TestSupport
import Testing

/// What an embedding is made of: the state that the output matrix makes the logits of.
@Suite struct HiddenStateTests {
  private static let prompt = randomTokens(37, seed: 3)

  /// Double precision, in plain Swift.
  private func logits(_ tiny: TinyModel, of hidden: [Float]) -> [Double] {
    let name = tiny.hasSeparateOutput ? "output.weight" : "token_embd.weight"
    let matrix = tiny.tensors().first { $0.name == name }!.values
    return (0..<tiny.vocabularySize).map { row in
      hidden.indices.reduce(0) { $0 + Double(hidden[$1]) * Double(matrix[row * tiny.width + $1]) }
    }
  }

  @Test(arguments: [false, true])
  func `Times the output matrix it is the logits, tied embeddings or not`(isTied: Bool) throws {
    var tiny = TinyModel()
    tiny.hasSeparateOutput = !isTied
    let file = tiny.write()
    let run = try ModelRun(path: file.path, activations: .float32)
    let rows = run.logits(of: Self.prompt)
    #expect(run.hiddenStates.count == rows.count && rows.count == Self.prompt.count)
    for (hidden, row) in zip(run.hiddenStates, rows) {
      let expected = logits(tiny, of: hidden)
      #expect(hidden.count == tiny.width)
      #expect(zip(row, expected).allSatisfy { abs(Double($0) - $1) < 1e-4 })
    }
    #expect(Set(run.hiddenStates).count == rows.count)
  }

  @Test func `It is the same bits beside others, in chunks, and where other rows are asked for`() throws {
    let file = TinyModel().write(encode: TinyModel.q8_0)
    let run = try ModelRun(path: file.path, blocks: 128)
    _ = run.logits(of: Self.prompt)
    let alone = run.hiddenStates
    var sequences = [ModelRun.Sequence(), ModelRun.Sequence()]
    _ = run.step([(0, Array(Self.prompt[..<20]), .none), (1, randomTokens(11, seed: 5), .all)], on: &sequences)
    _ = run.step([(1, [8], .last), (0, Array(Self.prompt[20...]), .last)], on: &sequences)
    #expect(run.hiddenStates.count == 2 && run.hiddenStates[1].isSameBits(as: alone[36]))
  }
}
