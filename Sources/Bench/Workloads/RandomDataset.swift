/// `random`: prompts of random tokens, as vLLM's. All begin with the same `prefixTokens`; the rest is a walk through
/// the alphabet from a random place on, so that no two prompts share more than the prefix.
package struct RandomDataset: Sendable {
  /// Of the part behind the prefix.
  package var inputTokens = 1024
  package var outputTokens = 128
  package var prefixTokens = 0
  /// Lengths lie evenly in length · (1 ± ratio); from 0 up to, not with, 1.
  package var inputRangeRatio = 0.0
  package var outputRangeRatio = 0.0

  package init() {}

  package func workload(
    requests count: Int, _ maker: PromptMaker, using dice: inout some RandomNumberGenerator
  ) throws(BenchError) -> Workload {
    let inputs = Self.range(max(0, inputTokens - maker.specialTokens), ratio: inputRangeRatio)
    guard prefixTokens + inputs.lowerBound > 0 else {
      throw .badWorkload("Prompts may come out empty: raise --random-input-len or lower --random-range-ratio.")
    }
    let outputs = Self.range(outputTokens, ratio: outputRangeRatio)
    let prefix = maker.randomPlaces(prefixTokens, using: &dice)
    let requests = (0..<count).map { index in
      let length = Int.random(in: inputs, using: &dice)
      let output = max(1, Int.random(in: outputs, using: &dice))
      let offset = Int.random(in: 0..<maker.alphabetSize, using: &dice)
      let walk = (0..<length).map { (offset + index + $0) % maker.alphabetSize }
      return maker.request(prefix + walk, outputTokens: output, using: &dice)
    }
    return Workload(description: description, requests: requests, promptCounts: maker.counts)
  }

  private static func range(_ length: Int, ratio: Double) -> ClosedRange<Int> {
    let low = (Double(length) * (1 - ratio)).rounded(.down)
    let high = (Double(length) * (1 + ratio)).rounded(.up)
    return Int(low)...Int(high)
  }

  private var description: String {
    let prefix = prefixTokens > 0 ? "\(prefixTokens) shared + " : ""
    let spread = inputRangeRatio > 0 ? " ±\(Int(inputRangeRatio * 100)) %" : ""
    let outputSpread = outputRangeRatio > 0 ? " ±\(Int(outputRangeRatio * 100)) %" : ""
    return "random: \(prefix)\(inputTokens)\(spread) tokens in, \(outputTokens)\(outputSpread) out"
  }
}
