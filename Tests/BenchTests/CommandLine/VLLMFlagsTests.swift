import ArgumentParser
import Testing
import xpyd

/// Each flag of `vllm bench serve --help` is taken, or refused by its name: none is passed over.
struct VLLMFlagsTests {
  /// How each flag is given that we take, with what it needs beside it.
  static let taken: [String: [String]] = [
    "--append-result": [], "--backend": ["openai-chat"], "--base-url": ["http://h:1/v"], "--burstiness": ["100"],
    "--custom-output-len": ["-1", "--dataset-name", "custom", "--dataset-path", "f"],
    "--dataset-name": ["prefix_repetition"], "--dataset-path": ["f", "--dataset-name", "burstgpt"],
    "--disable-shuffle": ["--dataset-name", "sharegpt", "--dataset-path", "f"], "--disable-tqdm": [],
    "--endpoint": ["/v1/completions"], "--extra-body": [#"{"a":{"b":1}}"#], "--frequency-penalty": ["0.5"],
    "--goodput": ["ttft:500", "tpot:50", "e2el:1000"], "--header": ["a=b", "c=d"], "--host": ["h"],
    "--ignore-eos": [], "--input-len": ["8"], "--insecure": [], "--label": ["l"], "--logprobs": ["2"],
    "--max-concurrency": ["4"], "--metadata": ["a=b", "c=d"], "--metric-percentiles": ["25,50,99.9"],
    "--min-p": ["0.1"], "--model": ["m"], "--no-oversample": ["--dataset-name", "custom", "--dataset-path", "f"],
    "--no-self-timed": ["--request-rate", "2", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--num-prompts": ["3"], "--num-warmups": ["1"], "--output-len": ["8"],
    "--percentile-metrics": ["ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue"], "--port": ["1"],
    "--prefix-repetition-num-prefixes": ["2", "--dataset-name", "prefix_repetition"],
    "--prefix-repetition-output-len": ["2", "--dataset-name", "prefix_repetition"],
    "--prefix-repetition-prefix-len": ["2", "--dataset-name", "prefix_repetition"],
    "--prefix-repetition-suffix-len": ["2", "--dataset-name", "prefix_repetition"], "--presence-penalty": ["0.5"],
    "--ramp-up-end-rps": ["9", "--ramp-up-strategy", "linear", "--ramp-up-start-rps", "1"],
    "--ramp-up-start-rps": ["9", "--ramp-up-strategy", "linear", "--ramp-up-end-rps", "1"],
    "--ramp-up-strategy": ["exponential", "--ramp-up-start-rps", "1", "--ramp-up-end-rps", "9"],
    "--random-input-len": ["8"], "--random-output-len": ["8"], "--random-prefix-len": ["8"],
    "--random-range-ratio": [#"{"input":0.3,"output":0.5}"#], "--ready-check-timeout-sec": ["60"],
    "--repetition-penalty": ["1.1"], "--request-id-prefix": ["r-"], "--request-rate": ["inf"],
    "--result-dir": ["d", "--save-result"], "--result-filename": ["f", "--save-result"],
    "--save-detailed": ["--save-result"], "--save-result": [], "--seed": ["18446744073709551615"],
    "--self-timed": ["--dataset-name", "timed_trace", "--dataset-path", "f"], "--served-model-name": ["s"],
    "--sharegpt-output-len": ["8", "--dataset-name", "sharegpt", "--dataset-path", "f"],
    "--skip-chat-template": ["--dataset-name", "custom", "--dataset-path", "f"], "--skip-tokenizer-init": [],
    "--temperature": ["0"],
    "--timed-trace-chunk-hash-size": ["512", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--timed-trace-label-hash-ids": ["h", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--timed-trace-label-input-length": ["i", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--timed-trace-label-output-length": ["o", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--timed-trace-label-timestamp": ["t", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--timed-trace-sec-multiplier": ["0.001", "--dataset-name", "timed_trace", "--dataset-path", "f"],
    "--tokenizer": ["t.gguf"], "--top-k": ["5"], "--top-p": ["0.9"],
  ]

  static let refused = [
    "--asr-max-audio-len-sec", "--asr-min-audio-len-sec", "--bfcl-categories", "--blazedit-max-distance",
    "--blazedit-min-distance", "--chat-template-kwargs", "--custom-ensure-client-side-data",
    "--enable-multimodal-chat", "--hf-name", "--hf-output-len", "--hf-split", "--hf-subset", "--lora-assignment",
    "--lora-modules", "--no-reranker", "--no-stream", "--plot-dataset-stats", "--plot-timeline",
    "--probe-request-rate", "--profile", "--random-batch-size", "--random-mm-base-items-per-request",
    "--random-mm-bucket-config", "--random-mm-limit-mm-per-prompt", "--random-mm-num-mm-items-range-ratio",
    "--spec-bench-category", "--spec-bench-output-len", "--speed-bench-category", "--speed-bench-dataset-subset",
    "--speed-bench-output-len", "--timeline-itl-thresholds", "--tokenizer-mode", "--trust-remote-code",
    "--use-beam-search",
  ]

  @Test func `The table has every flag that vLLM's help lists`() throws {
    let help = String(decoding: try Fixture.bytes("vllm_bench_serve_help.txt"), as: UTF8.self)
    // Flags stand in the first column; what follows two spaces tells of them.
    let columns = help.split(separator: "\n").filter { $0.hasPrefix("  -") }.compactMap { line in
      line.dropFirst(2).split(separator: "  ").first
    }
    let listed = columns.flatMap { column in
      column.split(whereSeparator: { " ,".contains($0) }).filter { $0.hasPrefix("--") }.map(String.init)
    }
    #expect(Set(listed).subtracting(["--help"]) == Set(Self.taken.keys).union(Self.refused))
    #expect(Set(Self.taken.keys).isDisjoint(with: Self.refused))
  }

  @Test(arguments: taken.keys.sorted())
  func `A flag that we have is taken`(flag: String) throws {
    let words = ["bench", "serve", flag] + Self.taken[flag]!
    #expect(UnsupportedFlags.refusal(of: ["xpyd"] + words) == nil)
    _ = try XPYD.parseAsRoot(words)
  }

  @Test(arguments: refused)
  func `A flag that we have not is refused by name, with a reason`(flag: String) throws {
    for word in [flag, "\(flag)=1"] {
      let refusal = try #require(UnsupportedFlags.refusal(of: ["xpyd", "bench", "serve", word]))
      #expect(refusal.hasPrefix("\(flag) of vllm bench serve is not supported: "))
    }
    #expect(throws: (any Error).self) { try XPYD.parseAsRoot(["bench", "serve", flag]) }
  }

  /// What no run can be made of, and the words that say so.
  static let wrong: [(words: [String], message: String)] = [
    (["--backend", "openai-audio"], "'openai-audio' is invalid"),
    (["--dataset-name", "hf"], "'hf' is invalid"),
    (["--num-prompts", "0"], "--num-prompts must be 1 or more"),
    (["--request-rate", "0"], "--request-rate must be above 0"),
    (["--burstiness", "-1"], "--burstiness"),
    (["--max-concurrency", "0"], "--max-concurrency must be 1 or more"),
    (["--request-cancellation-rate", "1.5"], "from 0 to 1"),
    (["--slow-reader-rate", "2"], "from 0 to 1"),
    (["--ramp-up-strategy", "linear"], "needs --ramp-up-start-rps"),
    (["--ramp-up-start-rps", "1"], "need --ramp-up-strategy"),
    (
      ["--ramp-up-strategy", "linear", "--ramp-up-start-rps", "1", "--ramp-up-end-rps", "2", "--request-rate", "1"],
      "left out beside"
    ),
    (["--goodput", "itl:5"], "--goodput takes"),
    (["--goodput", "ttft:-1"], "--goodput takes"),
    (["--percentile-metrics", "speed"], "not speed"),
    (["--metric-percentiles", "101"], "from 0 to 100"),
    (["--metadata", "novalue"], "KEY=VALUE"),
    (["--header", "novalue"], "KEY=VALUE"),
    (["--extra-body", "[1]"], "--extra-body"),
    (["--base-url", "ftp://h"], "--base-url must be"),
    (["--endpoint", "v1"], "must begin with /"),
    (["--dataset-path", "f"], "reads no file"),
    (["--dataset-name", "sharegpt"], "needs --dataset-path"),
    (["--random-input-len", "-1"], "--random-input-len"),
    (["--random-range-ratio", "1"], "--random-range-ratio"),
    (["--random-input-len", "5", "--dataset-name", "prefix_repetition"], "is for --dataset-name random"),
    (["--skip-chat-template"], "is for --dataset-name custom"),
    (["--timed-trace-chunk-hash-size", "16"], "is for --dataset-name timed_trace"),
    (["--no-self-timed"], "are for --dataset-name timed_trace"),
    (["--dataset-name", "timed_trace", "--dataset-path", "f", "--request-rate", "1"], "add --no-self-timed"),
    (["--save-detailed"], "needs --save-result"),
    (["--result-dir", "d"], "needs --save-result"),
    (["--no-such-flag"], "--no-such-flag"),
  ]

  @Test(arguments: wrong.indices)
  func `A value that makes no sense is refused with the flag's name`(index: Int) {
    let (words, message) = Self.wrong[index]
    let error = #expect(throws: (any Error).self) { try XPYD.parseAsRoot(["bench", "serve"] + words) }
    if let error { #expect(XPYD.message(for: error).contains(message), "\(words)") }
  }

  @Test func `JSON in pieces, as vLLM takes it, is refused with the way that works`() {
    let refusal = UnsupportedFlags.refusal(of: ["xpyd", "bench", "serve", "--extra-body.key", "1"])
    #expect(refusal == "--extra-body.key: give the JSON as a whole, --extra-body '{…}'.")
  }
}
