import KVBlocks
import Logging

/// The decoder's side of push mode: a bounded buffer that prefillers fill over `PushConnection`s, and from which the engine
/// pulls what its requests' prompts name.
///
/// `start` → prompts come, `claim` finds them → `pull` or `abandon` → `close`, which must be called: threads hold on to
/// the parts.
package final class PushReceiver: KVTransport {
  package let port: Int
  private let pool: KVMemory
  private let identity: KVIdentity
  private let buffer: ReceiveBuffer
  private let puller: Puller
  private let nixl: NixlAgent?
  private let server: TransferServer
  private let copies: PullThreads

  /// Listens, and takes prompts from now on.
  /// - Parameters:
  ///   - pool: the engine's.
  ///   - limits: `blocks` of the pool's layout are set aside in memory of their own.
  ///   - configuration: where it listens, and how it pulls.
  /// - Throws: `KVTransferError` or `KVMemoryError`.
  package init(
    pool: KVMemory, identity: KVIdentity, limits: ReceiveLedger.Limits, configuration: TransferConfiguration,
    logger: Logger
  ) throws {
    precondition(pool.layout == identity.layout)
    self.pool = pool
    self.identity = identity
    buffer = ReceiveBuffer(try KVMemory(layout: pool.layout, blockCount: limits.blocks), limits)
    nixl = try NixlAgent.make(configuration, over: buffer.memory, logger)
    puller = Puller(memory: buffer.memory, identity: identity, configuration: configuration, nixl, logger: logger)
    copies = PullThreads(limit: configuration.pullThreads, name: "kv-copy")
    let context = PushConnection.Context(
      buffer: buffer, puller: puller, identity: identity, incarnation: KVHandoff.ID.random().rawValue,
      configuration: configuration, grant: limits.grant, logger: logger)
    server = try TransferServer(
      try TransferListeners(configuration), connectionLimit: configuration.connectionLimit, logger
    ) { channel, _ in PushConnection(channel: channel, context: context).run() }
    port = server.port
    logger.info(
      "KV receive buffer listens",
      metadata: [
        "host": "\(server.host)", "port": "\(port)", "blocks": "\(limits.blocks)",
        "bytes": "\(buffer.memory.byteCount)",
      ])
  }

  /// Ends connections and pulls. Blocks until all threads are gone.
  package func close() {
    buffer.close()
    puller.close()
    server.close()
    copies.close()
    nixl?.close()
  }

  package var statistics: ReceiveStatistics { buffer.statistics }

  /// As puller.
  package var transferStatistics: TransferStatistics {
    var statistics = TransferStatistics()
    puller.addStatistics(to: &statistics)
    return statistics
  }

  /// A ticket to the prompt's KV; nil if no prefiller has sent it. Who gets one pulls or abandons it.
  package func claim(_ key: PromptKey) -> KVHandoff? { buffer.claim(key, engineID: identity.engineID) }

  /// Copies the ticket's blocks out of the buffer.
  package func pull(
    _ handoff: KVHandoff, into destination: [KVBlockID]
  ) async throws(KVTransferError) -> KVPullReport {
    let start = ContinuousClock.now
    // The copy takes milliseconds, so it is not interrupted: nobody writes when this returns.
    let result = await copies.run(PullCancellation()) { [self] _ throws(KVTransferError) in
      guard buffer.holds(handoff.id) else { throw .unknownHandoff(handoff.id, peer: "the receive buffer") }
      guard destination.count >= handoff.blocks.count else {
        throw .destinationTooSmall(needed: handoff.blocks.count, given: destination.count)
      }
      let copy = BlockCopy(totalBytes: handoff.blocks.count * pool.layout.bytesPerBlock)
      for (source, target) in zip(handoff.blocks, destination) {
        copy.copy(UnsafeRawBufferPointer(buffer.memory.bytes(of: source)), to: pool.bytes(of: target))
      }
    }
    buffer.finish(handoff.id, hasRead: (try? result.get()) != nil)
    try result.get()
    return KVPullReport(
      transport: "buffer", bytes: handoff.blocks.count * pool.layout.bytesPerBlock, blocks: handoff.blocks.count,
      duration: start.duration(to: .now))
  }

  package func abandon(_ handoff: KVHandoff) { buffer.finish(handoff.id, hasRead: false) }

  /// Nothing is ever published here: a receiver's worker prefills for nobody.
  package func open(
    _ blocks: [KVBlockID], tokens: Int, requestID: String, lease: Duration, onRelease: @escaping @Sendable () -> Void
  ) throws(KVTransferError) -> KVPublication {
    preconditionFailure("a receiver was asked to publish")
  }

  package func withdraw(_ id: KVHandoff.ID) {}
}
