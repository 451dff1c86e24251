import Glibc
import KVBlocks
import KVTransfer
import Logging

/// How this worker's KV reaches other workers, or theirs this one.
enum KVPlane: Sendable {
  /// Decoders pull what the router's tickets name.
  case pull(PullTransport)
  /// Prompts are pushed to one receiver, which pulls them.
  case sender(PullTransport, Pusher, LMCachePort?)
  /// Prompts are pushed here.
  case receiver(PushReceiver, LMCachePort?)

  /// - Parameter memory: the engine's pool.
  init(
    _ configuration: WorkerConfiguration, _ memory: KVMemory, _ identity: KVIdentity, _ logger: Logger
  ) throws {
    guard let kvTransfer = configuration.kvTransfer, case .push(let settings) = kvTransfer.connector else {
      self = .pull(
        try PullTransport(memory: memory, identity: identity, configuration: configuration.transfer, logger: logger))
      return
    }
    let owner = "the worker of process \(getpid()) on port \(configuration.port)"
    let port = try kvTransfer.rpcPort.map { name throws(WorkerError) in try LMCachePort(name, owner: owner) }
    switch settings.role {
    case .sender:
      let pusher = Pusher(
        host: settings.host, port: settings.port, identity: identity, configuration: configuration.transfer,
        wait: settings.roomTimeout)
      self = .sender(
        try PullTransport(memory: memory, identity: identity, configuration: configuration.transfer, logger: logger),
        pusher, port)
    case .receiver:
      self = .receiver(try Self.receiver(settings, configuration.transfer, memory, identity, logger), port)
    }
  }

  private static func receiver(
    _ settings: LMCacheConfiguration, _ transfer: TransferConfiguration, _ pool: KVMemory, _ identity: KVIdentity,
    _ logger: Logger
  ) throws -> PushReceiver {
    let blocks = settings.bufferBytes / pool.layout.bytesPerBlock
    guard blocks > 0 else {
      throw WorkerError.badLMCacheConfiguration(
        source: "LMCache's settings",
        "nixl_buffer_size is \(settings.bufferBytes), and one block of \(pool.layout.blockSize) tokens has "
          + "\(pool.layout.bytesPerBlock) bytes")
    }
    var limits = ReceiveLedger.Limits(blocks: min(blocks, Int(Int32.max)))
    if !settings.collectsUnread { limits.unread = .seconds(600) }
    var configuration = transfer
    configuration.listenHost = settings.host
    configuration.port = settings.port
    return try PushReceiver(
      pool: pool, identity: identity, limits: limits, configuration: configuration, logger: logger)
  }

  /// The engine's.
  var transport: any KVTransport {
    switch self {
    case .pull(let transport), .sender(let transport, _, _): transport
    case .receiver(let receiver, _): receiver
    }
  }

  /// Where peers connect.
  var port: Int {
    switch self {
    case .pull(let transport), .sender(let transport, _, _): transport.port
    case .receiver(let receiver, _): receiver.port
    }
  }

  /// Blocks until all threads are gone.
  func close() {
    switch self {
    case .pull(let transport): transport.close()
    case .sender(let transport, let pusher, _):
      pusher.close()
      transport.close()
    case .receiver(let receiver, _): receiver.close()
    }
  }
}

extension KVTransferConfiguration {
  /// What has no effect, a line each.
  func logWarnings(_ logger: Logger) {
    for key in ignoredKeys { logger.warning("Ignored in --kv-transfer-config", metadata: ["key": "\(key)"]) }
    guard case .push(let settings) = connector else { return }
    for warning in settings.warnings { logger.warning("LMCache setting", metadata: ["reason": "\(warning)"]) }
  }
}
