extension ProxyConfiguration {
  /// What the configured policies need to know of a request.
  var shapeRules: ShapeRules {
    let policies = [prefillPolicy, decodePolicy]
    return ShapeRules(
      session: policies.contains(.consistentHash) ? sessionKeys : nil,
      prompt: policies.contains(.prefixAware) || disaggregation != .tokens(0))
  }

  /// Both pools, which know of each other's workers that are one process, and share what these have seen.
  func makePools() -> (prefillers: WorkerPool, decoders: WorkerPool) {
    let prefillWorkers = WorkerPool.workers(
      of: .prefill, at: prefillers + both, ejectAfter: healthCheck.ejectAfter)
    let decodeWorkers = WorkerPool.workers(of: .decode, at: decoders + both, ejectAfter: healthCheck.ejectAfter)
    let memory = shapeRules.prompt ? PromptMemory(of: prefillWorkers + decodeWorkers) : nil
    return (
      WorkerPool(
        role: .prefill, workers: prefillWorkers, others: decodeWorkers, policy: prefillPolicy.policy(after: 0),
        memory: memory),
      WorkerPool(
        role: .decode, workers: decodeWorkers, others: prefillWorkers,
        policy: decodePolicy.policy(after: prefillWorkers.count), memory: memory)
    )
  }
}
