import CPeaks
import Glibc
import Kernels

/// What this machine can do at most with a number of threads, measured: the yardstick of every row.
package struct MachinePeaks: Equatable, Sendable {
  package let threads: Int
  /// Floating-point operations a second: float32 multiply-adds in registers.
  package let operations: Double
  /// Bytes a second, read once from memory on huge pages.
  package let bytes: Double

  package init(threads: Int, operations: Double, bytes: Double) {
    self.threads = threads
    self.operations = operations
    self.bytes = bytes
  }

  /// Takes the best of `repetitions`, since whatever disturbs a measurement makes it slower.
  package static func measure(on pool: ThreadPool, repetitions: Int) throws(EngineBenchError) -> MachinePeaks {
    let threads = pool.threadCount
    let rounds = 1 << 23
    let operations = Double(threads) * xp_multiply_add(rounds)
    let computing = best(of: repetitions) {
      pool.run(tasks: threads) { _ in _ = xp_multiply_add(rounds) }
    }
    let memory = try ReadBuffer(byteCount: 256 << 20)
    // Parts that any thread takes when it is free; the sum of all is read once.
    let parts = threads * 8
    let part = memory.byteCount / parts / 256 * 256
    let reading = best(of: repetitions + 1) {
      pool.run(tasks: parts) { _ = xp_read(memory.base + $0 * part, part) }
    }
    return MachinePeaks(
      threads: threads, operations: operations / computing, bytes: Double(parts * part) / reading)
  }

  /// Seconds of the fastest run.
  private static func best(of repetitions: Int, _ body: () -> Void) -> Double {
    (0..<repetitions).map { _ in seconds(body) }.min()!
  }
}

/// Seconds that `body` takes.
func seconds(_ body: () -> Void) -> Double {
  let duration = ContinuousClock().measure(body)
  return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

/// Written memory, larger than any cache, on huge pages where the system gives them (as packed weights are).
private final class ReadBuffer {
  let byteCount: Int
  let base: UnsafeMutableRawPointer

  init(byteCount: Int) throws(EngineBenchError) {
    let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else { throw .noMemory(bytes: byteCount, errno: errno) }
    self.byteCount = byteCount
    base = address
    madvise(base, byteCount, MADV_HUGEPAGE)
    memset(base, 1, byteCount)
  }

  deinit { munmap(base, byteCount) }
}
