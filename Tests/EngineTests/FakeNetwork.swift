import KVBlocks
import KVTransfer
import Synchronization

/// What goes wrong, named after the moment it strikes.
enum TransferFault: CaseIterable, Sendable {
  case publisherGoneBeforePull
  case publisherDiesInMidCopy
  case checksumWrongAfterCopy
  /// The blocks are there, but the acknowledgement is not: the publisher keeps its lease.
  case acknowledgementLost
}

/// Handoffs between engines in one process. Holds what each has published, and strikes as told.
final class FakeNetwork: Sendable {
  private struct Published {
    var memory: KVMemory
    var handoff: KVHandoff
    var onRelease: @Sendable () -> Void
  }

  private struct State {
    var published: [KVHandoff.ID: Published] = [:]
    var issued = 0
    var pulls = 0
    var withdrawn = 0
    var faults: [TransferFault?] = []
    var refusesToPublish = false
  }

  private let state = Mutex(State())
  /// Pulls wait here, if it is closed, after they have started and before they write.
  let pullGate = AsyncGate()

  /// The next pulls meet these, one each; nil: nothing goes wrong.
  func script(_ faults: [TransferFault?]) { state.withLock { $0.faults += faults } }
  func refuseToPublish() { state.withLock { $0.refusesToPublish = true } }

  var pullCount: Int { state.withLock { $0.pulls } }
  var withdrawnCount: Int { state.withLock { $0.withdrawn } }
  var publishedCount: Int { state.withLock { $0.published.count } }

  func transport(for memory: KVMemory) -> FakeTransport { FakeTransport(network: self, memory: memory) }

  /// Every lease runs out.
  func expireLeases() {
    let all = state.withLock { state in
      defer { state.published = [:] }
      return Array(state.published.values)
    }
    for published in all { published.onRelease() }
  }

  fileprivate func open(
    _ blocks: [KVBlockID], tokens: Int, of memory: KVMemory, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVPublication {
    let handoff: KVHandoff? = state.withLock { state in
      guard !state.refusesToPublish else { return nil }
      state.issued += 1
      return KVHandoff(
        id: KVHandoff.ID("handoff-\(state.issued)"), engineID: "engine", host: "127.0.0.1", port: 1, blocks: blocks,
        tokens: tokens)
    }
    guard let handoff else { throw .closed }
    return KVPublication(handoff, layout: memory.layout) { [self] in
      state.withLock { state in
        state.published[handoff.id] = Published(memory: memory, handoff: handoff, onRelease: onRelease)
      }
    } onFail: {
    }
  }

  fileprivate func withdraw(_ id: KVHandoff.ID) {
    state.withLock { $0.withdrawn += 1 }
    release(id)
  }

  private func release(_ id: KVHandoff.ID) {
    state.withLock { $0.published.removeValue(forKey: id) }?.onRelease()
  }

  fileprivate func pull(
    _ handoff: KVHandoff, into destination: [KVBlockID], of memory: KVMemory
  ) async throws(KVTransferError) -> KVPullReport {
    let fault = state.withLock { state in
      state.pulls += 1
      return state.faults.isEmpty ? nil : state.faults.removeFirst()
    }
    await pullGate.pass()
    let peer = "fake"
    guard fault != .publisherGoneBeforePull, let source = state.withLock({ $0.published[handoff.id] }) else {
      throw .unknownHandoff(handoff.id, peer: peer)
    }
    guard destination.count >= handoff.blocks.count else {
      throw .destinationTooSmall(needed: handoff.blocks.count, given: destination.count)
    }
    for (index, block) in handoff.blocks.enumerated() {
      if fault == .publisherDiesInMidCopy, index == handoff.blocks.count / 2 {
        memory.bytes(of: destination[index]).copyBytes(from: repeatElement(0xEE, count: 5))
        throw .peerClosed(peer: peer, during: "copy")
      }
      memory.bytes(of: destination[index]).copyMemory(from: UnsafeRawBufferPointer(source.memory.bytes(of: block)))
    }
    if fault == .checksumWrongAfterCopy {
      memory.bytes(of: destination[0]).copyBytes(from: repeatElement(0xAA, count: 9))
      throw .corrupt(block: 0, peer: peer)
    }
    if fault == .acknowledgementLost { throw .timedOut(what: "acknowledgement", after: .seconds(1)) }
    release(handoff.id)
    return KVPullReport(
      transport: "fake", bytes: handoff.blocks.count * memory.layout.bytesPerBlock, blocks: handoff.blocks.count,
      duration: .milliseconds(1))
  }
}

struct FakeTransport: KVTransport {
  let network: FakeNetwork
  let memory: KVMemory

  func open(
    _ blocks: [KVBlockID], tokens: Int, requestID: String, lease: Duration, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVPublication {
    try network.open(blocks, tokens: tokens, of: memory, onRelease: onRelease)
  }

  func pull(_ handoff: KVHandoff, into destination: [KVBlockID]) async throws(KVTransferError) -> KVPullReport {
    try await network.pull(handoff, into: destination, of: memory)
  }

  func abandon(_ handoff: KVHandoff) { network.withdraw(handoff.id) }

  func withdraw(_ id: KVHandoff.ID) { network.withdraw(id) }
}
