import KVBlocks
import Logging
import Synchronization

/// The decoder's side: pulls handoffs, a few at a time, on threads of its own.
final class Puller: Sendable {
  private struct State: Sendable {
    var running: [ObjectIdentifier: PullCancellation] = [:]
    var isClosed = false
    var pulls: [String: Int] = [:]
    var bytes: [String: Int] = [:]
    var failures: [String: Int] = [:]
  }

  private let memory: KVMemory
  private let configuration: TransferConfiguration
  private let connections: PeerConnections
  private let abandoner: Abandoner
  private let threads: PullThreads
  /// For pulls of prompts that are still being computed: others shall not wait behind them.
  private let followers: PullThreads
  private let state = Mutex(State())

  init(
    memory: KVMemory, identity: KVIdentity, configuration: TransferConfiguration, _ nixl: NixlAgent?, logger: Logger
  ) {
    self.memory = memory
    self.configuration = configuration
    connections = PeerConnections(identity, configuration, nixl, logger)
    abandoner = Abandoner(connections, configuration.timeouts)
    threads = PullThreads(limit: configuration.pullThreads, name: "kv-pull")
    followers = PullThreads(limit: configuration.followThreads, name: "kv-follow")
  }

  /// Interrupts what is under way and returns when no thread writes into the pool any more.
  func close() {
    let running = state.withLock { state in
      state.isClosed = true
      return Array(state.running.values)
    }
    for cancellation in running { cancellation.cancel(.closed) }
    threads.close()
    followers.close()
    abandoner.close()
    connections.closeIdle()
  }

  func addStatistics(to statistics: inout TransferStatistics) {
    state.withLock { state in
      statistics.pullsByTransport = state.pulls
      statistics.bytesByTransport = state.bytes
      statistics.failuresByLabel = state.failures
    }
  }

  /// See `KVTransport.pull`. On cancellation the connection is closed, and the handoff abandoned over another; this
  /// returns when nobody writes into `destination` any more.
  func pull(_ handoff: KVHandoff, into destination: [KVBlockID]) async throws(KVTransferError) -> KVPullReport {
    let cancellation = PullCancellation()
    let result = await run(handoff, destination, cancellation)
    state.withLock { state in
      switch result {
      case .success(let report):
        state.pulls[report.transport, default: 0] += 1
        state.bytes[report.transport, default: 0] += report.bytes
      case .failure(let error): state.failures[error.label, default: 0] += 1
      }
    }
    if case .failure(.cancelled) = result { abandon(handoff) }
    return try result.get()
  }

  func abandon(_ handoff: KVHandoff) { abandoner.abandon(handoff) }

  private func run(
    _ handoff: KVHandoff, _ destination: [KVBlockID], _ cancellation: PullCancellation
  ) async -> Result<KVPullReport, KVTransferError> {
    let key = ObjectIdentifier(cancellation)
    let isOpen = state.withLock { state in
      if !state.isClosed { state.running[key] = cancellation }
      return !state.isClosed
    }
    guard isOpen else { return .failure(.closed) }
    defer { state.withLock { $0.running[key] = nil } }
    let start = ContinuousClock.now
    let threads = handoff.isEarly ? followers : threads
    return await threads.run(cancellation) { [self] cancellation throws(KVTransferError) in
      try pullNow(handoff, destination, cancellation, start)
    }
  }

  private func pullNow(
    _ handoff: KVHandoff, _ blocks: [KVBlockID], _ cancellation: PullCancellation, _ start: ContinuousClock.Instant
  ) throws(KVTransferError) -> KVPullReport {
    let timeouts = configuration.timeouts
    let whole = handoff.isEarly ? timeouts.prefill + timeouts.pull : timeouts.pull
    let patience = Patience(stall: timeouts.stall, whole: whole, from: start)
    guard ContinuousClock.now < patience.end else { throw .timedOut(what: "free pull thread", after: whole) }
    let needed = memory.layout.blocksNeeded(forUntrustedTokens: handoff.tokens)
    guard needed <= blocks.count else { throw .destinationTooSmall(needed: needed, given: blocks.count) }
    let destination = PeerConnection.Destination(memory: memory, blocks: blocks)
    let (connection, claim) = try claim(handoff, cancellation, patience)
    let announced = try move(claim, over: connection, into: destination, cancellation, patience, of: handoff)
    return KVPullReport(
      transport: connection.transport, bytes: needed * memory.layout.bytesPerBlock, blocks: needed,
      duration: (announced ?? start).duration(to: .now), followed: claim.isFollowed)
  }

  /// - Returns: When the last piece was announced of a prompt that was still being computed; nil for others.
  private func move(
    _ claim: PeerConnection.Claim, over connection: PeerConnection, into destination: PeerConnection.Destination,
    _ cancellation: PullCancellation, _ patience: Patience, of handoff: KVHandoff
  ) throws(KVTransferError) -> ContinuousClock.Instant? {
    var announced: ContinuousClock.Instant?
    do throws(KVTransferError) {
      if claim.isFollowed {
        announced = try connection.follow(claim, into: destination, cancellation, patience)
        try connection.finishFollowing(claim, patience)
      } else {
        try connection.fetch(claim, into: destination, cancellation, patience)
        try connection.finish(claim, patience)
      }
    } catch {
      // It says so itself, and is as good as it was.
      if case .prefillFailed = error, cancellation.detach() { connections.giveBack(connection, for: handoff) }
      throw error
    }
    if cancellation.detach() { connections.giveBack(connection, for: handoff) }
    return announced
  }

  /// Over a resting connection if there is one. If that turns out to have ended meanwhile, nothing was granted on
  /// it, and a fresh one is made.
  private func claim(
    _ handoff: KVHandoff, _ cancellation: PullCancellation, _ patience: Patience
  ) throws(KVTransferError) -> (PeerConnection, PeerConnection.Claim) {
    if let resting = connections.takeIdle(for: handoff) {
      try cancellation.attach(resting.channel.socket)
      do throws(KVTransferError) {
        return (resting, try claim(handoff, over: resting, cancellation, patience))
      } catch {
        guard case .peerClosed = error, cancellation.reason == nil else { throw error }
      }
    }
    let fresh = try connections.connect(for: handoff, cancellation)
    return (fresh, try claim(handoff, over: fresh, cancellation, patience))
  }

  /// A refusal leaves the connection as good as it was.
  private func claim(
    _ handoff: KVHandoff, over connection: PeerConnection, _ cancellation: PullCancellation, _ patience: Patience
  ) throws(KVTransferError) -> PeerConnection.Claim {
    do throws(KVTransferError) {
      return try connection.claim(handoff, layout: memory.layout, patience)
    } catch {
      switch error {
      case .unknownHandoff, .leaseExpired, .alreadyClaimed:
        if cancellation.detach() { connections.giveBack(connection, for: handoff) }
      default: break
      }
      throw error
    }
  }
}

extension KVLayout {
  /// As `blocks(forTokens:)`, for a number that came from outside: no overflow, and 0 for what is no count.
  fileprivate func blocksNeeded(forUntrustedTokens tokens: Int) -> Int {
    tokens <= 0 ? 0 : (tokens - 1) / blockSize + 1
  }
}
