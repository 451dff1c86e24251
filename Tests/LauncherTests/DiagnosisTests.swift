import Testing

import Launcher

struct DiagnosisTests {
  @Test(arguments: [
    (["OSError: [Errno 98] Address already in use"], "a port that it needs is taken"),
    (["vllm: error: unrecognized arguments: --foo"], "it does not know one of its arguments"),
    (["ValueError: No available memory for the cache blocks."], "there is not enough memory for model and KV cache"),
    (["torch.OutOfMemoryError: CUDA out of memory."], "there is not enough memory for model and KV cache"),
    (
      ["OSError: You are trying to access a gated repo.", "401 Client Error"],
      "Hugging Face refuses access to the model"
    ),
    (["OSError: x is not a local folder and is not a valid model identifier"], "there is no model of this name"),
    (["RuntimeError: NIXL is not available"], "vLLM's Python has no NIXL"),
    (["ModuleNotFoundError: No module named 'lmcache'"], "vLLM's Python has no LMCache"),
    (["ModuleNotFoundError: No module named 'einops'"], "a Python module is missing"),
    (["OSError: [Errno 28] No space left on device"], "a disk or /dev/shm is full"),
    (["OSError: [Errno 24] Too many open files"], "it has used up its file descriptors"),
    (["PermissionError: [Errno 13] Permission denied: '/x'"], "it may not read or write a file"),
  ])
  func `What an engine wrote last tells the cause`(log: [String], cause: String) {
    #expect(Diagnosis(.exited(1), log: ["INFO starting"] + log).cause == cause)
  }

  @Test(arguments: [
    (Diagnosis.End.signalled(9), "somebody killed it; if nobody did, the kernel did for want of memory"),
    (.signalled(11), "it crashed by signal 11"), (.exited(3), "it ended by itself with exit code 3"),
    (.exited(127), "its program or interpreter is not there"),
    (.silent(.status(404)), "/health answers 404, not 200"),
    (.silent(.nothing("nobody listens")), "it does not listen yet"),
  ])
  func `Without words the end itself has to do`(end: Diagnosis.End, cause: String) {
    let diagnosis = Diagnosis(end, log: ["all is well"])
    #expect(diagnosis.cause == cause)
    #expect(!diagnosis.remedy.isEmpty)
  }
}
