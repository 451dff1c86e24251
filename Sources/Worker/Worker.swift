import Engine
import HTTPServer
import KVTransfer
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// One engine in one role, behind HTTP.
///
/// `start` → serves → `shutdown`, which must be called: threads hold on to the parts.
package final class Worker: Sendable {
  package let port: Int
  /// New at each start; the handoffs of this worker bear it.
  package let engineID: String
  private let loaded: LoadedWorker
  private let responder: WorkerResponder
  private let server: HTTPServer
  private let group: MultiThreadedEventLoopGroup

  private init(
    loaded: LoadedWorker, responder: WorkerResponder, server: HTTPServer, group: MultiThreadedEventLoopGroup
  ) {
    self.loaded = loaded
    self.responder = responder
    self.server = server
    self.group = group
    port = server.port
    engineID = loaded.engineID
  }

  /// Loads the model and listens. Returns when the first request would be served.
  ///
  /// - Throws: `WorkerError`, `KVTransferError`, `KVMemoryError` or `HTTPServerError`, each with what to do.
  package static func start(_ configuration: WorkerConfiguration, logger: Logger) async throws -> Worker {
    configuration.kvTransfer?.logWarnings(logger)
    let loaded = try await NIOThreadPool.singleton.runIfActive { try LoadedWorker(configuration, logger: logger) }
    let responder = WorkerResponder(loaded, configuration: configuration, logger: logger)
    // One event loop: a worker's requests are few, and the processors are the engine's.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let server = try await HTTPServer.start(
        host: configuration.host, port: configuration.port, group: group, logger: logger, responder: responder)
      let worker = Worker(loaded: loaded, responder: responder, server: server, group: group)
      worker.logStart(configuration, logger)
      return worker
    } catch {
      await loaded.shutdown(grace: .zero)
      try? await group.shutdownGracefully()
      throw error
    }
  }

  /// Where other workers connect for KV; nil: this one hands none over.
  package var transferPort: Int? { loaded.plane?.port }

  package var statistics: EngineStatistics { loaded.engine.statistics }

  /// Refuses new requests and answers `/health` with 503; lets running ones, and decoders that are to pull from here,
  /// end for at most `grace`; then stops everything.
  package func shutdown(grace: Duration) async {
    responder.drain()
    let deadline = ContinuousClock.now + grace
    await server.shutdown(grace: grace)
    await loaded.shutdown(grace: max(.zero, ContinuousClock.now.duration(to: deadline)))
    try? await group.shutdownGracefully()
  }

  private func logStart(_ configuration: WorkerConfiguration, _ logger: Logger) {
    logger.info(
      "Worker is ready",
      metadata: [
        "model": "\(loaded.model.names[0])", "file": "\(loaded.model.path)", "load.time": "\(loaded.report.duration)",
        "packed.bytes": "\(loaded.report.packedBytes)", "kv.blocks": "\(loaded.kvBlocks)",
        "max_model_len": "\(loaded.model.maxModelLength)", "max_num_batched_tokens": "\(loaded.maxBatchedTokens)",
        "threads": "\(configuration.threads)",
        "role": "\(loaded.plane == nil ? "single" : configuration.kvTransfer?.role.rawValue ?? "single")",
        "engine.id": "\(engineID)",
        "port": "\(port)", "transfer.port": "\(transferPort.map { "\($0)" } ?? "none")",
      ])
  }
}

extension LoadedWorker {
  /// Closing the transport joins threads, so it is done off the cooperative pool.
  fileprivate func shutdown(grace: Duration) async {
    await engine.shutdown(grace: grace)
    guard let plane else { return }
    try? await NIOThreadPool.singleton.runIfActive { plane.close() }
  }
}
