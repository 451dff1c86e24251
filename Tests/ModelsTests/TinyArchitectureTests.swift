import Foundation
import KVBlocks
import Models
import TestSupport
import Testing

/// A random model of one architecture, and what transformers computes with it: made by scripts/tiny_models.py.
struct TinyArchitecture: CustomTestStringConvertible {
  let name: String
  /// In its folder: `model.gguf`, or nil for the folder.
  var file: String? = "model.gguf"

  struct Case: Decodable {
    var max_context: Int?
    var prompt: [Int32]
    var positions: [Int]
    /// Of these positions.
    var logits: [[Float]]
    /// What follows the prompt at temperature 0.
    var greedy: [Int32]
  }

  static let names = ["llama", "tinyllama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gemma3"]
  static let all = names.flatMap { [TinyArchitecture(name: $0), TinyArchitecture(name: $0, file: nil)] }

  var testDescription: String { name + (file.map { "/" + $0 } ?? "") }

  private var folder: URL {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/tiny/\(name)")
  }

  var path: String { (file.map { folder.appending(path: $0) } ?? folder).path }

  func cases() throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: Data(contentsOf: folder.appending(path: "expected.json")))
  }
}

@Suite struct TinyArchitectureTests {
  @Test(arguments: TinyArchitecture.all)
  func `Logits and greedy tokens are those of transformers`(model: TinyArchitecture) throws {
    for expected in try model.cases() {
      let run = try ModelRun(
        path: model.path, kvElementType: .f32, maxContext: expected.max_context, activations: .float32)
      let logits = run.logits(of: expected.prompt)
      for (position, row) in zip(expected.positions, expected.logits) {
        let worst = zip(logits[position], row).map { abs($0 - $1) }.max()!
        let greatest = row.map(abs).max()!
        #expect(worst < 1e-4 * greatest, "at position \(position) the logits, up to \(greatest), are off by \(worst)")
      }
      #expect(run.greedy(after: expected.prompt, count: 16) == expected.greedy)
    }
  }

  @Test(arguments: TinyArchitecture.all)
  func `Chunks, batches and block tables do not change a bit`(model: TinyArchitecture) throws {
    let prompt = try model.cases()[0].prompt
    let whole = try ModelRun(path: model.path, threads: 1).logits(of: prompt)
    let run = try ModelRun(path: model.path, blockSize: 8, shuffled: true)
    for chunks in [[1, 30, 7], Array(repeating: 1, count: prompt.count)] {
      for (row, other) in zip(run.logits(of: prompt, chunks: chunks), whole) { #expect(row.isSameBits(as: other)) }
    }
  }
}

extension ModelRun {
  func greedy(after prompt: [Int32], count: Int) -> [Int32] {
    var sequences = [Sequence()]
    var tokens = prompt
    var output: [Int32] = []
    while output.count < count {
      output.append(step([(0, tokens, .last)], on: &sequences)[0][0].argmax)
      tokens = [output[output.count - 1]]
    }
    free(sequences)
    return output
  }
}
