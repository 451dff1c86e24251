import ModelFiles
import TestSupport
import Testing

/// What the tests of other modules rely on.
@Suite struct TinyModelTests {
  @Test func `The same values give the same file, another seed another`() {
    var other = TinyModel()
    other.seed = 2
    #expect(TinyModel().writer().bytes() == TinyModel().writer().bytes())
    #expect(TinyModel().writer().bytes() != other.writer().bytes())
  }

  @Test func `What it says depends on the whole prompt, and is never a special token`() throws {
    let file = TinyModel().write(encode: TinyModel.q8_0)
    let run = try ModelRun(path: file.path)
    let prompt = randomTokens(40, seed: 1)
    let outputs = [prompt, [prompt[0] ^ 1] + prompt.dropFirst(), Array(prompt.dropFirst())].map { prompt in
      var sequences = [ModelRun.Sequence()]
      var output: [Int32] = []
      var next = prompt
      for _ in 0..<24 {
        output.append(run.step([(0, next, .last)], on: &sequences)[0][0].argmax)
        next = [output.last!]
      }
      run.free(sequences)
      return output
    }
    #expect(Set(outputs).count == 3, "the first of 40 tokens changes the output")
    #expect(outputs.joined().allSatisfy { $0 >= TinyVocabulary.specials.count })
    #expect(Set(outputs[0]).count > 8, "it does not repeat itself")
  }
}
