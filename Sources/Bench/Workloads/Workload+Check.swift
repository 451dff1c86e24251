extension Workload {
  /// - Throws: `BenchError.badWorkload` if the API has no place for a prompt of some request's kind.
  func check(against target: Target) throws(BenchError) {
    switch target.api {
    case .completions where requests.contains { $0.kind == .messages }:
      throw .badWorkload("The workload holds chat messages: send it with --backend openai-chat.")
    case .chat where requests.contains { $0.kind == .tokenIDs }:
      throw .badWorkload(
        "The workload's prompts are token ids, which chat has no place for: send it with --backend openai, or give "
          + "--tokenizer the path of the model's GGUF file.")
    case .completions, .chat: break
    }
  }
}
