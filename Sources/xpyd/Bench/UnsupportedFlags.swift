import ArgumentParser

/// Flags of `vllm bench serve` that `xpyd bench serve` has no part for: asked for, they are refused by name instead of
/// being called unknown, and never passed over.
package enum UnsupportedFlags {
  private static let reasons: [(flags: [String], reason: String)] = [
    (["--lora-modules", "--lora-assignment"], "adapters are not measured"),
    (["--profile"], "it drives vLLM's own profiler"),
    (["--probe-request-rate"], "run a second xpyd bench serve beside the first"),
    (["--use-beam-search"], "vLLM itself no longer reads it"),
    (["--plot-timeline", "--timeline-itl-thresholds", "--plot-dataset-stats"], "--report FILE.html draws the run"),
    (
      ["--tokenizer-mode", "--trust-remote-code", "--chat-template-kwargs"],
      "the tokenizer is that of a GGUF file: give its path with --tokenizer"
    ),
    (
      ["--enable-multimodal-chat", "--custom-ensure-client-side-data", "--no-reranker", "--random-batch-size"], textOnly
    ),
    (["--no-stream", "--hf-name", "--hf-output-len", "--hf-split", "--hf-subset"], "datasets are local files"),
  ]
  private static let prefixes = [
    "--random-mm-", "--asr-", "--blazedit-", "--bfcl-", "--spec-bench-", "--speed-bench-",
  ]
  private static let textOnly =
    "only text datasets are measured: random, prefix_repetition, sharegpt, custom, burstgpt, "
    + "timed_trace"

  /// Ends the process with an error if `xpyd bench` is given such a flag: the parser would only call it unknown.
  static func refuseIfBench(_ commandLine: [String]) {
    guard commandLine.dropFirst().first == "bench", let refusal = refusal(of: commandLine) else { return }
    XPYD.exit(withError: ValidationError(refusal))
  }

  /// About the first flag that vLLM has and we have not; nil if there is none.
  package static func refusal(of arguments: [String]) -> String? {
    for argument in arguments where argument.hasPrefix("--") {
      let flag = String(argument.prefix { $0 != "=" })
      if let dot = flag.firstIndex(of: ".") {
        return "\(flag): give the JSON as a whole, \(flag[..<dot]) '{…}'."
      }
      let known = reasons.first { $0.flags.contains(flag) }?.reason
      if let reason = known ?? (prefixes.contains { flag.hasPrefix($0) } ? textOnly : nil) {
        return "\(flag) of vllm bench serve is not supported: \(reason)."
      }
    }
    return nil
  }
}
