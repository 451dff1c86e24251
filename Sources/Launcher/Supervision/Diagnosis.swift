/// Why a process ended or did not become ready, and what to do, as far as its last words tell.
package struct Diagnosis: Equatable, Sendable {
  package let cause: String
  package let remedy: String

  /// How a process ended.
  package enum End: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
    /// It runs and does not answer.
    case silent(HealthProbe.Answer?)
  }

  /// What engines write, in the order in which it is looked for: the more special first.
  private static let words: [(needles: [String], cause: String, remedy: String)] = [
    (
      ["address already in use", "addrinuse", "is taken"], "a port that it needs is taken",
      "xpyd doctor tells who holds it; stop that, or choose other ports"
    ),
    (
      ["unrecognized arguments", "unknown option", "unexpected argument", "invalid choice"],
      "it does not know one of its arguments", "look at what stands after -- or under arguments"
    ),
    (
      ["no available memory for the cache blocks", "free memory on device", "out of memory", "outofmemoryerror"],
      "there is not enough memory for model and KV cache",
      "give it another GPU or a larger TP group, or lower --gpu-memory-utilization or --max-model-len"
    ),
    (
      ["is larger than the maximum number of tokens that can be stored in kv cache", "estimated maximum model length"],
      "its KV cache is smaller than one full context", "lower --max-model-len, or give it more memory"
    ),
    (
      ["gated repo", "401 client error", "403 client error", "access to model"],
      "Hugging Face refuses access to the model",
      "export HF_TOKEN=hf_… of an account that has accepted the model's licence"
    ),
    (
      [
        "is not a local folder and is not a valid model", "repository not found", "404 client error",
        "no such model", "there is no model", "is not a valid repository id", "repo id must be",
      ],
      "there is no model of this name", "check --model; xpyd model list shows what is here"
    ),
    (
      ["is no gguf file", "not a gguf", "bad magic", "gguf"], "the model file cannot be read",
      "fetch it again with xpyd model pull, or inspect it with xpyd model inspect"
    ),
    (
      ["nixl is not available", "no module named 'nixl", "nixl_connector"], "vLLM's Python has no NIXL",
      "install it beside vLLM: pip install nixl"
    ),
    (["no module named 'lmcache"], "vLLM's Python has no LMCache", "install it beside vLLM: pip install lmcache"),
    (["no module named"], "a Python module is missing", "install it into vLLM's environment"),
    (
      ["too many open files"], "it has used up its file descriptors", "raise the limit: ulimit -n 65536"
    ),
    (["no space left on device"], "a disk or /dev/shm is full", "make room; df -h . /dev/shm shows which"),
    (["permission denied"], "it may not read or write a file", "see the path in its log"),
  ]

  /// - Parameter log: The last lines.
  package init(_ end: End, log: [String]) {
    let text = log.joined(separator: "\n").lowercased()
    if let found = Self.words.first(where: { $0.needles.contains(where: text.contains) }) {
      (cause, remedy) = (found.cause, found.remedy)
      return
    }
    switch end {
    case .signalled(9):
      (cause, remedy) = (
        "somebody killed it; if nobody did, the kernel did for want of memory",
        "look for 'Out of memory' in dmesg; start fewer or smaller workers"
      )
    case .signalled(4):
      (cause, remedy) = ("this processor lacks an instruction that it uses", "use a build for this processor")
    case .signalled(7):
      (cause, remedy) = ("a memory file could not be filled (SIGBUS)", "make room in /dev/shm")
    case .signalled(let number):
      (cause, remedy) = ("it crashed by signal \(number)", "its log has the end of the story")
    case .exited(126), .exited(127):
      (cause, remedy) = ("its program or interpreter is not there", "check the path that was started")
    case .exited(let code): (cause, remedy) = ("it ended by itself with exit code \(code)", "its log tells why")
    case .silent(.status(let code)?):
      (cause, remedy) = (
        "/health answers \(code), not 200", "if this is another program, choose another port; else see its log"
      )
    case .silent:
      (cause, remedy) = (
        "it does not listen yet", "see its last line; if it makes progress, raise --ready-timeout"
      )
    }
  }
}
