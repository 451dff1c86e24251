/// Why a worker did not start.
package enum WorkerError: Error, Sendable, Equatable {
  case badTransferConfiguration(String)
  case badLMCacheConfiguration(source: String, String)
  case badSpeculativeConfiguration(String)
  case lmcachePortTaken(String, by: String, for: String)
  /// `reason` tells the file and what to do.
  case model(String)
  case offloadWithoutPrefixCaching
  case noProcessor(Int, allowed: [Int])
  case noSecret(path: String, reason: String)
  case noToolCallFormat
  case poolTooSmall(blocks: Int, blockSize: Int, maxModelLength: Int)
}

extension WorkerError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .badTransferConfiguration(let reason):
      #"--kv-transfer-config: \#(reason). Give e.g. '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'."#
    case .badLMCacheConfiguration(let source, let reason):
      "\(source): \(reason). LMCacheConnectorV1 reads the YAML file that LMCACHE_CONFIG_FILE names, else LMCACHE_* variables."
    case .lmcachePortTaken(let name, let other, let owner):
      "lmcache_rpc_port '\(name)' of \(owner) is that of \(other) already. Give each worker of a host its own."
    case .badSpeculativeConfiguration(let reason):
      #"--speculative-config: \#(reason). Give e.g. '{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_max":3}'."#
    case .model(let reason): reason
    case .offloadWithoutPrefixCaching:
      "evicted KV is found by its prefix only. Leave --no-enable-prefix-caching out, or --kv-offloading-size and local_cpu."
    case .noProcessor(let processor, let allowed):
      "--cpus: this process may not run on processor \(processor), but on \(allowed.map { "\($0)" }.joined(separator: ","))."
        + " Name some of these."
    case .noSecret(let path, let reason):
      "--kv-secret-file \(path): \(reason). Write a secret of at least 16 characters into it, the same on all workers."
    case .noToolCallFormat:
      "--tool-call-parser auto: the chat template shows no calls of tools that can be read. Name a parser: "
        + ToolCallFormat.allCases.map(\.rawValue).joined(separator: ", ") + "."
    case .poolTooSmall(let blocks, let blockSize, let maxModelLength):
      "\(blocks) KV blocks of \(blockSize) tokens do not hold one sequence of --max-model-len \(maxModelLength). Raise "
        + "--num-kv-blocks or --kv-cache-memory, or lower --max-model-len."
    }
  }
}
