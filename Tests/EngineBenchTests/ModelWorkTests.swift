import EngineBench
import KVBlocks
import ModelFiles
import Models
import TestSupport
import Testing

struct ModelWorkTests {
  /// Two layers of 100 weights, 20 of them for keys and values; heads of 10 in all; a vocabulary of 1,000 weights.
  private let work = ModelWork(
    layers: 2, layerWeights: 100, kvWeights: 20, outputWeights: 1000, weightBytes: 5000, queryWidth: 10,
    kvBytesPerToken: 8)

  @Test func `A decoded token multiplies every weight and meets its whole context once`() {
    let one = work.amount(of: BenchTest(.decode(batch: 1), tokens: 1, depth: 9), stepTokens: 512)
    // Scores and weighted values: two multiply-adds for each of 10 positions, 10 elements and 2 layers.
    let (products, scores) = (2 * 100 + 1000, 2 * 10 * 10 * 2)
    #expect(one.operations == Double(2 * (products + scores)))
    #expect(one.bytes == Double(5000 + 9 * 8))
  }

  @Test func `A batch shares the weights, not the contexts`() {
    let one = work.amount(of: BenchTest(.decode(batch: 1), tokens: 3, depth: 9), stepTokens: 512)
    let eight = work.amount(of: BenchTest(.decode(batch: 8), tokens: 3, depth: 9), stepTokens: 512)
    #expect(eight.operations == 8 * one.operations)
    let sevenContexts = 7 * (9 + 10 + 11) * 8
    #expect(eight.bytes == one.bytes + Double(sevenContexts))
  }

  @Test func `A prompt's last layer and its logits are needed for one row`() {
    let prompt = work.amount(of: BenchTest(.prefill, tokens: 4), stepTokens: 512)
    let products = 4 * (100 + 20) + (80 + 1000)
    let scores = 2 * 10 * ((1 + 2 + 3 + 4) + 4)
    #expect(prompt.operations == Double(2 * (products + scores)))
    #expect(prompt.bytes == 5000)
  }

  @Test func `Steps change the bytes of a prompt, not its operations`() {
    let test = BenchTest(.prefill, tokens: 10)
    let (whole, cut) = (work.amount(of: test, stepTokens: 10), work.amount(of: test, stepTokens: 4))
    #expect(whole.operations == cut.operations)
    let earlierKV = (4 + 8) * 8
    #expect(cut.bytes == Double(3 * 5000 + earlierKV))
  }

  @Test func `A file's matrices are counted, each once`() throws {
    let written = TinyModel().write()
    let file = try GGUFFile(path: written.path)
    let configuration = try ModelConfiguration(file: file)
    let layout = KVLayout(
      layers: configuration.layers, kvHeads: configuration.kvHeads, headDim: configuration.headDim)
    let work = ModelWork(file: file, configuration: configuration, kvLayout: layout)
    let c = configuration
    #expect(work.kvWeights == 2 * c.width * c.kvWidth)
    let (attention, feedForward) = (2 * c.width * c.queryWidth, 3 * c.width * c.feedForwardWidth)
    #expect(work.layerWeights == work.kvWeights + attention + feedForward)
    #expect(work.outputWeights == c.vocabularySize * c.width)
    #expect(work.kvBytesPerToken == 2 * 2 * c.layers * c.kvWidth)
    // Float32 throughout: matrices and norms, without the embedding beside the output matrix.
    let norms = (2 * c.layers + 1) * c.width
    #expect(work.weightBytes == 4 * (c.layers * work.layerWeights + norms + work.outputWeights))
  }
}
