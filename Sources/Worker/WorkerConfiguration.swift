import Engine
import KVBlocks
import KVOffload
import KVTransfer
import Kernels

/// All that an operator sets; a plain value. `xpyd serve` maps its flags to it.
package struct WorkerConfiguration: Sendable {
  /// The model's `.gguf` file, or its Hugging Face folder.
  package var modelPath: String
  /// What clients call the model; the first is used where one is needed. At least one.
  package var servedNames: [String]
  package var host = "127.0.0.1"
  /// 0: any free port.
  package var port = 0
  /// nil: no KV is published or pulled.
  package var kvTransfer: KVTransferConfiguration?
  package var transfer = TransferConfiguration()
  /// Where evicted KV is kept; nil: what `kvTransfer` says, else nowhere.
  package var offload: OffloadConfiguration?
  /// Scheduler and limits; the model's end tokens are added to it.
  package var engine = EngineConfiguration()
  /// Measure the model first, and set `engine.maxBatchedTokens` by it (`StepBudget`).
  package var choosesBatchedTokens = false
  /// Tokens per KV block.
  package var blockSize = 16
  package var poolSize = KVPoolSize.automatic
  /// Compute threads.
  package var threads = 1
  /// Processors that they are pinned to; empty: wherever the system puts them.
  package var cpus: [Int] = []
  /// What products read activations as; workers that hand KV over must agree.
  package var activations = ActivationType.standard
  /// How keys and values are stored (`--kv-cache-dtype`); workers that hand KV over must agree.
  package var kvElementType = KVLayout.ElementType.f16
  package var apiKeys: [String] = []
  /// For requests that leave it to the model whether it calls tools; nil: such requests are refused.
  package var toolCallParser: ToolCallParser?
  /// Requests that say nothing of sampling get what the folder's generation_config.json recommends.
  package var readsGenerationConfig = true
  /// A line in the log for each request.
  package var logsRequests = true
  /// For `/version`.
  package var version = "0.0.0"

  package init(modelPath: String, servedNames: [String]) {
    self.modelPath = modelPath
    self.servedNames = servedNames
  }
}
