extension ProxyConfiguration {
  /// What the configured policies need to know of a request.
  var shapeRules: ShapeRules {
    let policies = [prefillPolicy, decodePolicy]
    return ShapeRules(
      session: policies.contains(.consistentHash) ? sessionKeys : nil,
      prompt: policies.contains(.prefixAware) || disaggregation != .tokens(0))
  }

  /// Both pools, which know of each other's workers that are one process, and share what these have seen.
  func makeFleet(
    _ prefillers: [Worker], _ decoders: [Worker], leaving: [Worker], memory: PromptMemory?
  ) -> Fleet {
    memory?.keep(only: prefillers + decoders)
    return Fleet(
      prefillers: WorkerPool(
        role: .prefill, workers: prefillers, others: decoders, policy: prefillPolicy.policy(after: 0), memory: memory),
      decoders: WorkerPool(
        role: .decode, workers: decoders, others: prefillers, policy: decodePolicy.policy(after: prefillers.count),
        memory: memory),
      leaving: leaving)
  }
}
