import CNixl
import Glibc
import KVBlocks
import KVTransfer

/// The yardstick of the NIXL adapter: two agents of this process, driven by nothing but the C API's calls.
final class PlainNixl {
  private let calls: xn_functions
  private let owner: UnsafeMutableRawPointer
  private let reader: UnsafeMutableRawPointer
  private let notices: UnsafeMutableRawPointer
  private let source: KVMemory
  private let target: KVMemory
  private static let sourceName = "xpyd-bench-source"

  /// Creates and connects them. They live as long as the process: a measurement has no reason to take them down.
  init(_ library: NixlLibrary, source: KVMemory, target: KVMemory) throws {
    calls = library.calls.pointee
    (self.source, self.target) = (source, target)
    owner = try Self.agent(calls, Self.sourceName, source)
    reader = try Self.agent(calls, "xpyd-bench-target", target)
    var map: UnsafeMutableRawPointer?
    try Self.require(calls.create_notif_map(&map))
    notices = map!
    var (metadata, count): (UnsafeMutableRawPointer?, Int) = (nil, 0)
    try Self.require(calls.get_local_md(owner, &metadata, &count))
    defer { free(metadata) }
    var name: UnsafeMutablePointer<CChar>?
    try Self.require(calls.load_remote_md(reader, metadata!, count, &name))
    free(name)
  }

  private static func agent(
    _ calls: xn_functions, _ name: String, _ memory: KVMemory
  ) throws -> UnsafeMutableRawPointer {
    var (agent, memories, parameters, backend, list):
      (
        UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
        UnsafeMutableRawPointer?
      )
    var settings = xn_agent_settings()
    settings.workers = 1
    try require(calls.create_configured_agent(name, &settings, &agent))
    try require(calls.get_plugin_params(agent!, "UCX", &memories, &parameters))
    try require(calls.create_backend(agent!, "UCX", parameters!, &backend))
    try require(calls.create_reg_dlist(Int32(xn_dram), &list))
    try require(calls.reg_dlist_add_desc(list!, UInt(bitPattern: memory.base), memory.byteCount, 0, nil, 0))
    try require(calls.register_mem(agent!, list!, nil))
    return agent!
  }

  /// Reads the whole source into the target.
  /// - Returns: Seconds.
  func read() throws -> Double {
    let start = ContinuousClock.now
    var (local, remote, request): (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?)
    try Self.require(calls.create_xfer_dlist(Int32(xn_dram), &local))
    try Self.require(calls.create_xfer_dlist(Int32(xn_dram), &remote))
    try Self.require(calls.xfer_dlist_add_desc(local!, UInt(bitPattern: target.base), target.byteCount, 0))
    try Self.require(calls.xfer_dlist_add_desc(remote!, UInt(bitPattern: source.base), source.byteCount, 0))
    try Self.require(
      calls.create_xfer_req(reader, Int32(xn_read), local!, remote!, Self.sourceName, &request, nil))
    var status = calls.post_xfer_req(reader, request!, nil)
    while status == Int32(xn_in_progress) {
      _ = calls.get_notifs(owner, notices, nil)
      status = calls.get_xfer_status(reader, request!)
    }
    try Self.require(status)
    _ = calls.release_xfer_req(reader, request!)
    _ = calls.destroy_xfer_req(request!)
    for list in [local!, remote!] { _ = calls.destroy_xfer_dlist(list) }
    return start.duration(to: .now) / .seconds(1)
  }

  private static func require(_ status: Int32, call: Int = #line) throws {
    guard status == Int32(xn_done) else {
      throw KVTransferError.nixlFailed("the bare call of line \(call) returned \(status)")
    }
  }
}
