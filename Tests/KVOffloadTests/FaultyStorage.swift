import Dispatch
import KVBlocks
import KVOffload
import Synchronization

/// A disk in memory that is full, or hangs, when the test says so.
final class FaultyStorage: BlockStorage {
  private struct State {
    var places: [KVBlockID: [UInt8]] = [:]
    var hangs = false
  }

  private let failsWrites: Bool
  private let state = Mutex(State())
  private let answers = DispatchSemaphore(value: 0)

  init(failsWrites: Bool = false) { self.failsWrites = failsWrites }

  /// From now on a read waits for `answer`.
  func hang() { state.withLock { $0.hangs = true } }

  /// The disk works again, and answers the read that waits or is to come.
  func answer() {
    state.withLock { $0.hangs = false }
    answers.signal()
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, named name: KVBlockName, order: UInt64, to place: KVBlockID
  ) throws(OffloadError) {
    if failsWrites { throw .failedIO(call: "pwrite", errno: 28) }
    state.withLock { $0.places[place] = Array(bytes) }
  }

  func read(from place: KVBlockID, into bytes: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    if state.withLock({ $0.hangs }) { answers.wait() }
    guard let found = state.withLock({ $0.places[place] }) else { throw .corruptBlock }
    bytes.copyBytes(from: found)
  }

  func forget() throws(OffloadError) { state.withLock { $0.places = [:] } }
}
