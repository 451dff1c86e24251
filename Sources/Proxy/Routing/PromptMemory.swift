import Synchronization

/// What every worker has seen of prompts; a worker of both roles has one memory. A `Mutex` guards it.
final class PromptMemory: Sendable {
  private let seen = Mutex<[WorkerAddress: SeenPrefixes]>([:])

  /// Makes a memory for each of them, and forgets those of others.
  func keep(only workers: [Worker]) {
    seen.withLock { seen in
      let kept = Set(workers.map(\.address))
      seen = seen.filter { kept.contains($0.key) }
      for address in kept where seen[address] == nil { seen[address] = SeenPrefixes() }
    }
  }

  /// How much of the prompt each of `workers` has seen, in bytes.
  func seenBytes(of prompt: PromptBlocks, by workers: [Worker]) -> [Int] {
    guard !prompt.hashes.isEmpty else { return Array(repeating: 0, count: workers.count) }
    return seen.withLock { seen in
      workers.map { (seen[$0.address]?.length(of: prompt.hashes) ?? 0) * PromptBlocks.bytesPerBlock }
    }
  }

  /// A worker that has left meanwhile gets no memory anew.
  func sent(_ prompt: PromptBlocks, to worker: Worker) {
    guard !prompt.hashes.isEmpty else { return }
    seen.withLock { $0[worker.address]?.insert(prompt.hashes) }
  }

  func forget(_ worker: Worker) {
    seen.withLock { seen in
      if seen[worker.address] != nil { seen[worker.address] = SeenPrefixes() }
    }
  }
}
