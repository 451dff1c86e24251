import Dispatch
import Glibc
import KVBlocks

/// The yardstick: `memcpy` of the same bytes between the same kinds of memory, by as many threads as there are streams.
struct PlainCopy: Sendable {
  let source: KVMemory
  let target: KVMemory

  /// - Returns: Seconds.
  func run(_ test: TransferCase) async -> Double {
    let part = test.bytesPerStream
    return await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        let start = ContinuousClock.now
        DispatchQueue.concurrentPerform(iterations: test.streams) { stream in
          memcpy(target.base + stream * part, source.base + stream * part, part)
        }
        continuation.resume(returning: start.duration(to: .now) / .seconds(1))
      }
    }
  }
}
