import Foundation
import Models
import TestSupport

/// Recorded outputs of an independent float32 forward pass (numpy) over the reference model's dequantised weights.
struct Golden: Decodable {
  struct Prompt: Decodable {
    struct Candidate: Decodable {
      var id: Int32
      var logit: Float
    }

    var name: String
    var prompt_ids: [Int32]
    var first_token_top10: [Candidate]
    /// 32 tokens at temperature 0.
    var greedy_ids: [Int32]
    /// First minus second logit at each step.
    var greedy_margin: [Float]
    /// How far llama.cpp's default, with int8 activations, is from the reference on this prompt.
    var llamacpp_default: Distance

    struct Distance: Decodable { var mean_kl: Double }
  }

  var prompts: [Prompt]

  static func load() throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: fixture("smollm2-135m-instruct.q4_1.json"))
  }

  /// 14 chunks of 512 tokens of an English text; Fixtures/README.md says how they were made.
  static func perplexityChunks() throws -> [[Int32]] {
    try JSONDecoder().decode([[Int32]].self, from: fixture("perplexity_ids.json"))
  }

  private static func fixture(_ name: String) throws -> Data {
    try Data(contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)"))
  }
}
