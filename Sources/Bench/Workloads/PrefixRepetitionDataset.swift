/// `prefix_repetition`: a few prefixes, each before many suffixes, in random order.
package struct PrefixRepetitionDataset: Sendable {
  package var prefixTokens = 256
  package var suffixTokens = 256
  package var prefixes = 10
  package var outputTokens = 128

  package init() {}

  /// - Parameter count: Rounded down to a whole number for each prefix, as vLLM does.
  package func workload(
    requests count: Int, shuffled: Bool, _ maker: PromptMaker, using dice: inout some RandomNumberGenerator
  ) throws(BenchError) -> Workload {
    guard prefixes > 0, count >= prefixes else {
      throw .badWorkload("\(count) prompts cannot have \(prefixes) prefixes: raise --num-prompts.")
    }
    var requests: [WorkloadRequest] = []
    for number in 0..<prefixes {
      let prefix = maker.randomPlaces(prefixTokens, using: &dice)
      for _ in 0..<(count / prefixes) {
        let suffix = maker.randomPlaces(suffixTokens, using: &dice)
        var request = maker.request(prefix + suffix, outputTokens: outputTokens, using: &dice)
        request.session = "prefix-\(number)"
        requests.append(request)
      }
    }
    if shuffled { requests.shuffle(using: &dice) }
    let description =
      "prefix_repetition: \(prefixes) prefixes of \(prefixTokens) + \(suffixTokens) tokens in, \(outputTokens) out"
    return Workload(description: description, requests: requests, promptCounts: maker.counts)
  }
}
