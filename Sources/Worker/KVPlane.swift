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
  /// - Returns: nil if no KV is handed over.
  static func make(
    _ configuration: WorkerConfiguration, _ memory: KVMemory, _ identity: KVIdentity, _ logger: Logger
  ) throws -> KVPlane? {
    switch configuration.kvTransfer?.connector {
    case nil, .local: nil
    case .pull:
      .pull(
        try PullTransport(memory: memory, identity: identity, configuration: configuration.transfer, logger: logger))
    case .push(let settings): try push(settings, configuration, memory, identity, logger)
    }
  }

  private static func push(
    _ settings: LMCachePush, _ configuration: WorkerConfiguration, _ memory: KVMemory, _ identity: KVIdentity,
    _ logger: Logger
  ) throws -> KVPlane {
    let owner = "the worker of process \(getpid()) on port \(configuration.port)"
    let port = try configuration.kvTransfer?.rpcPort.map { name throws(WorkerError) in
      try LMCachePort(name, owner: owner)
    }
    switch settings.role {
    case .sender:
      let pusher = Pusher(
        host: settings.host, port: settings.port, identity: identity, configuration: configuration.transfer,
        wait: settings.roomTimeout)
      return .sender(
        try PullTransport(memory: memory, identity: identity, configuration: configuration.transfer, logger: logger),
        pusher, port)
    case .receiver:
      return .receiver(try receiver(settings, configuration.transfer, memory, identity, logger), port)
    }
  }

  private static func receiver(
    _ settings: LMCachePush, _ transfer: TransferConfiguration, _ pool: KVMemory, _ identity: KVIdentity,
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
    for warning in warnings { logger.warning("LMCache setting", metadata: ["reason": "\(warning)"]) }
  }
}
