import Synchronization

/// What every worker has seen of prompts; a worker of both roles has one memory. A `Mutex` guards it.
final class PromptMemory: Sendable {
  private let slots: [WorkerAddress: Int]
  private let seen: Mutex<[SeenPrefixes]>

  init(of workers: [Worker]) {
    var slots: [WorkerAddress: Int] = [:]
    for worker in workers where slots[worker.address] == nil { slots[worker.address] = slots.count }
    self.slots = slots
    seen = Mutex(Array(repeating: SeenPrefixes(), count: slots.count))
  }

  /// How much of the prompt each of `workers` has seen, in bytes.
  func seenBytes(of prompt: PromptBlocks, by workers: [Worker]) -> [Int] {
    guard !prompt.hashes.isEmpty else { return Array(repeating: 0, count: workers.count) }
    return seen.withLock { seen in
      workers.map { worker in
        let slot = slots[worker.address]
        return slot.map { seen[$0].length(of: prompt.hashes) * PromptBlocks.bytesPerBlock } ?? 0
      }
    }
  }

  func sent(_ prompt: PromptBlocks, to worker: Worker) {
    guard !prompt.hashes.isEmpty, let slot = slots[worker.address] else { return }
    seen.withLock { $0[slot].insert(prompt.hashes) }
  }

  func forget(_ worker: Worker) {
    guard let slot = slots[worker.address] else { return }
    seen.withLock { $0[slot] = SeenPrefixes() }
  }
}
