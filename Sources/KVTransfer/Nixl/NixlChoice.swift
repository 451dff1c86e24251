import Glibc
import KVBlocks
import Logging

extension NixlAgent {
  /// The agent that a worker is to have; the log tells what was decided.
  ///
  /// `auto` looks for one where there is an RDMA device, or a library was named. Elsewhere NIXL would read over UCX's
  /// TCP, by requests and answers in software, which our own TCP is faster than.
  /// - Returns: nil if KV moves in other ways.
  /// - Throws: `nixlUnavailable`, where nothing else will do.
  static func make(
    _ configuration: TransferConfiguration, over memory: KVMemory, _ logger: Logger
  ) throws(KVTransferError) -> NixlAgent? {
    switch configuration.transports {
    case .shm, .tcp: return nil
    case .nixl: break
    case .auto where configuration.nixlLibrary != nil || hasRDMADevice: break
    case .auto:
      logger.info("NIXL is not used", metadata: ["reason": "this host has no RDMA device: TCP is faster"])
      return nil
    }
    do throws(KVTransferError) {
      let library = try NixlLibrary.open(configuration.nixlLibrary)
      let agent = try start(library, over: memory)
      logger.info("NIXL is ready", metadata: ["library": "\(library.path)", "bytes": "\(memory.byteCount)"])
      return agent
    } catch {
      guard configuration.transports == .auto else { throw error }
      logger.notice("NIXL is not used, TCP is", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  private static var hasRDMADevice: Bool {
    guard let folder = opendir("/sys/class/infiniband") else { return false }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { return true }
    }
    return false
  }
}
