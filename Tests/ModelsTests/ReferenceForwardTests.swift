import ModelFiles
import Models
import TestSupport
import Testing

/// The largest |Δlogit| between the model and the reference, over all positions.
private func largestError(
  _ tiny: TinyModel, of tokens: [Int32] = randomTokens(37, seed: 5), against reference: ReferenceForward? = nil,
  change: (inout GGUFWriter) -> Void = { _ in }
) throws -> Double {
  var writer = tiny.writer()
  change(&writer)
  let file = writer.write()
  let run = try ModelRun(path: file.path, kvElementType: .f32)
  let expected = (reference ?? ReferenceForward(tiny)).logits(of: tokens)
  return zip(run.logits(of: tokens), expected).reduce(0) { worst, row in
    zip(row.0, row.1).reduce(worst) { max($0, abs(Double($1.0) - $1.1)) }
  }
}

/// Logits of these models spread over about ±5, and errors in float32 stay below 2e-5.
private let tolerance = 1e-4

@Suite struct ReferenceForwardTests {
  @Test func `A llama is what the papers say`() throws { #expect(try largestError(TinyModel()) < tolerance) }

  @Test func `A tied output is the embedding`() throws {
    var tiny = TinyModel()
    tiny.hasSeparateOutput = false
    #expect(try largestError(tiny) < tolerance * 10, "its logits are ten times as large")
  }

  @Test func `qwen2 adds biases and rotates halves`() throws {
    var tiny = TinyModel()
    tiny.architecture = "qwen2"
    tiny.hasBiases = true
    #expect(try largestError(tiny) < tolerance)
    var interleaved = tiny
    interleaved.architecture = "llama"
    #expect(try largestError(tiny, against: ReferenceForward(interleaved)) > 0.1, "the test can tell them apart")
  }

  @Test func `llama3's divisors change the angles`() throws {
    var tiny = TinyModel()
    tiny.ropeFactors = [1, 1, 1, 1.5, 2, 4, 8, 8]
    #expect(try largestError(tiny) < tolerance)
    #expect(try largestError(tiny, against: ReferenceForward(TinyModel())) > 0.01, "the test can tell them apart")
  }

  @Test func `Linear scaling divides the angles`() throws {
    var reference = ReferenceForward(TinyModel())
    reference.linearFactor = 4
    let error = try largestError(TinyModel(), against: reference) {
      $0.add("llama.rope.scaling.type", .string("linear"))
      $0.add("llama.rope.scaling.factor", .float32(4))
    }
    #expect(error < tolerance)
  }

  @Test func `Half of a head may stay unrotated`() throws {
    var reference = ReferenceForward(TinyModel())
    reference.rotatedDimensions = 8
    let error = try largestError(TinyModel(), against: reference) {
      $0.set("llama.rope.dimension_count", .uint32(8))
    }
    #expect(error < tolerance)
  }

  @Test(arguments: [(heads: 4, kvHeads: 4, headDim: 16), (6, 2, 20), (7, 1, 8), (2, 1, 128)])
  func `Any division of heads works`(heads: Int, kvHeads: Int, headDim: Int) throws {
    var tiny = TinyModel()
    (tiny.heads, tiny.kvHeads, tiny.headDim) = (heads, kvHeads, headDim)
    #expect(try largestError(tiny) < tolerance)
  }

  @Test func `Half-precision keys and values stay near`() throws {
    let tiny = TinyModel()
    let file = tiny.write()
    let tokens = randomTokens(37, seed: 5)
    let run = try ModelRun(path: file.path, kvElementType: .f16)
    let expected = ReferenceForward(tiny).logits(of: tokens)
    for (row, reference) in zip(run.logits(of: tokens), expected) {
      for (found, exact) in zip(row, reference) { #expect(abs(Double(found) - exact) < 0.05) }
    }
  }
}
