import KVBlocks
import Logging

/// The pull transport: the prefiller publishes and serves, the decoder claims and copies; over shared memory on one
/// host, over NIXL or TCP between hosts.
///
/// `start` → `publish` and `pull` → `close`, which must be called: threads hold on to the parts. State lives in the
/// ledger's monitor, the server's and the puller's; a serving connection and a pull each have a thread.
package final class PullTransport: KVTransport {
  package let port: Int
  private let memory: KVMemory
  private let identity: KVIdentity
  private let advertisedHost: String
  private let handoffs: PublishedHandoffs
  private let server: TransferServer
  private let puller: Puller
  private let nixl: NixlAgent?

  /// Listens, and serves from now on.
  /// - Parameter now: The clock of the leases.
  /// - Throws: `cannotListen`, `insecureListener` for an address beyond loopback without a secret, or `nixlUnavailable`.
  package init(
    memory: KVMemory, identity: KVIdentity, configuration: TransferConfiguration = TransferConfiguration(),
    logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) throws(KVTransferError) {
    precondition(memory.layout == identity.layout)
    self.memory = memory
    self.identity = identity
    handoffs = PublishedHandoffs(logger: logger, now: now)
    nixl = try NixlAgent.make(configuration, over: memory, logger)
    do throws(KVTransferError) {
      server = try Self.serve(memory, identity, configuration, handoffs, nixl, logger)
    } catch {
      nixl?.close()
      throw error
    }
    port = server.port
    advertisedHost = server.host
    puller = Puller(memory: memory, identity: identity, configuration: configuration, nixl, logger: logger)
    guard handoffs.start() else {
      server.close()
      nixl?.close()
      throw .cannotListen(host: configuration.listenHost, port: port, reason: "the process is out of threads")
    }
    logger.info(
      "KV transfer server listens",
      metadata: ["host": "\(advertisedHost)", "port": "\(port)", "transports": "\(configuration.transports)"])
  }

  private static func serve(
    _ memory: KVMemory, _ identity: KVIdentity, _ configuration: TransferConfiguration, _ handoffs: PublishedHandoffs,
    _ nixl: NixlAgent?, _ logger: Logger
  ) throws(KVTransferError) -> TransferServer {
    let incarnation = KVHandoff.ID.random().rawValue
    let pool = configuration.transports.mayShareMemory ? SharedPool(memory) : nil
    let listeners = try TransferListeners(
      configuration, unixName: pool == nil ? nil : SharedPool.unixName(incarnation))
    let context = ServedConnection.Context(
      memory: memory, identity: identity, incarnation: incarnation, configuration: configuration, handoffs: handoffs,
      sharedPool: listeners.hasUnix ? pool : nil, nixl: nixl, logger: logger)
    return try TransferServer(listeners, connectionLimit: configuration.connectionLimit, logger) {
      ServedConnection(channel: $0, isUnix: $1, context: context).run()
    }
  }

  /// Ends pulls (they throw `closed`) and connections, and releases every handoff. Blocks until all threads are gone.
  package func close() {
    puller.close()
    server.close()
    handoffs.close()
    nixl?.close()
  }

  package var statistics: TransferStatistics {
    var statistics = handoffs.statistics
    puller.addStatistics(to: &statistics)
    return statistics
  }

  /// - Precondition: `blocks` are just those that `tokens` need.
  package func open(
    _ blocks: [KVBlockID], tokens: Int, requestID: String, lease: Duration, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVPublication {
    precondition(tokens >= 0 && blocks.count == memory.layout.blocks(forTokens: tokens))
    guard blocks.count <= ClaimedBody.blockLimit else {
      throw .handoffTooLarge(blocks: blocks.count, limit: ClaimedBody.blockLimit)
    }
    let id = KVHandoff.ID.random()
    let handoff = KVHandoff(
      id: id, engineID: identity.engineID, host: advertisedHost, port: port, blocks: blocks, tokens: tokens)
    let publication = KVPublication(
      handoff, layout: memory.layout, onComplete: { [handoffs] in handoffs.complete(id, lease: lease) },
      onFail: { [handoffs] in handoffs.revoke(id) })
    let entry = HandoffLedger.Entry(
      blocks: blocks, tokens: tokens, requestID: requestID, lease: HandoffLease(deadline: nil),
      publication: publication, onRelease: onRelease)
    try handoffs.publish(entry, id: id)
    return publication
  }

  package func pull(
    _ handoff: KVHandoff, into destination: [KVBlockID]
  ) async throws(KVTransferError) -> KVPullReport {
    try await puller.pull(handoff, into: destination)
  }

  package func abandon(_ handoff: KVHandoff) { puller.abandon(handoff) }

  package func withdraw(_ id: KVHandoff.ID) { handoffs.withdraw(id) }

  /// Ends the leases that have run out by the clock handed in. The timer does so by itself when the time has really
  /// passed; a clock moved by hand needs the call.
  package func expireLeases() { handoffs.expire() }
}
