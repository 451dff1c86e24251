import CNixl
import Glibc
import KVBlocks

/// One life of a NIXL agent, from its creation to its end: what it knows of peers, and the reads that it has under way.
///
/// `begin` → `meet`, `post`, `status`, `forget` in any order → `end`, which must be called.
final class NixlSession: @unchecked Sendable {
  // SAFETY: used by one thread at a time, the one whose turn it is at the `NixlAgent`.
  private let calls: xn_functions
  /// Peers know the agent by it: no two sessions have the same.
  let name: String
  private var agent: UnsafeMutableRawPointer?
  private var backend: UnsafeMutableRawPointer?
  private var options: UnsafeMutableRawPointer?
  private var registration: UnsafeMutableRawPointer?
  private var notices: UnsafeMutableRawPointer?
  /// How often each was met and not forgotten.
  private var peers: [String: Int] = [:]
  private var running: Set<UnsafeMutableRawPointer> = []

  struct Request {
    fileprivate let handle: UnsafeMutableRawPointer
  }

  enum Status { case done, running, failed(Int32) }

  /// Takes half a second.
  static func begin(_ library: NixlLibrary, over memory: KVMemory, name: String) throws(KVTransferError) -> NixlSession
  {
    let session = NixlSession(calls: library.calls.pointee, name: name)
    do throws(KVTransferError) {
      try session.open(memory)
    } catch {
      session.end()
      throw error
    }
    return session
  }

  private init(calls: xn_functions, name: String) {
    self.calls = calls
    self.name = name
  }

  private func open(_ memory: KVMemory) throws(KVTransferError) {
    var settings = xn_agent_settings()
    settings.workers = 1
    try Self.require(calls.create_configured_agent(name, &settings, &agent), "create_configured_agent")
    guard let agent else { throw .nixlFailed("create_configured_agent made none") }
    var (memories, parameters): (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?)
    try Self.require(calls.get_plugin_params(agent, "UCX", &memories, &parameters), "get_plugin_params(UCX)")
    defer {
      if let memories { _ = calls.destroy_mem_list(memories) }
      if let parameters { _ = calls.destroy_params(parameters) }
    }
    guard let parameters else { throw .nixlFailed("get_plugin_params(UCX) gave none") }
    try Self.require(calls.create_backend(agent, "UCX", parameters, &backend), "create_backend(UCX)")
    try Self.require(calls.create_opt_args(&options), "create_opt_args")
    try Self.require(calls.create_reg_dlist(Int32(xn_dram), &registration), "create_reg_dlist")
    guard let backend, let options, let registration else { throw .nixlFailed("create_backend(UCX) made none") }
    try Self.require(calls.opt_args_add_backend(options, backend), "opt_args_add_backend")
    let address = UInt(bitPattern: memory.base)
    try Self.require(
      calls.reg_dlist_add_desc(registration, address, memory.byteCount, 0, nil, 0), "reg_dlist_add_desc")
    try Self.require(calls.register_mem(agent, registration, options), "register_mem")
    try Self.require(calls.create_notif_map(&notices), "create_notif_map")
  }

  /// Ends what is under way with everything else: nobody writes into the pool for this session any more.
  func end() {
    guard let agent else { return }
    for request in running {
      _ = calls.release_xfer_req(agent, request)
      _ = calls.destroy_xfer_req(request)
    }
    running = []
    for name in peers.keys { _ = calls.invalidate_remote_md(agent, name) }
    peers = [:]
    if let registration {
      _ = calls.deregister_mem(agent, registration, options)
      _ = calls.destroy_reg_dlist(registration)
    }
    if let notices { _ = calls.destroy_notif_map(notices) }
    if let options { _ = calls.destroy_opt_args(options) }
    if let backend { _ = calls.destroy_backend(backend) }
    _ = calls.destroy_agent(agent)
    self.agent = nil
  }

  /// What a peer needs to read this pool.
  func metadata() throws(KVTransferError) -> [UInt8] {
    let agent = try living()
    var (bytes, count): (UnsafeMutableRawPointer?, Int) = (nil, 0)
    try Self.require(calls.get_local_md(agent, &bytes, &count), "get_local_md")
    defer { free(bytes) }
    return Array(UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count))
  }

  /// - Parameter name: what the metadata must be of.
  func meet(_ name: String, _ metadata: [UInt8]) throws(KVTransferError) {
    let agent = try living()
    if peers[name] == nil {
      let status = load(metadata, of: name, agent)
      if status != Int32(xn_done) { _ = calls.invalidate_remote_md(agent, name) }
      try Self.require(status, "load_remote_md")
    }
    peers[name, default: 0] += 1
  }

  private func load(_ metadata: [UInt8], of name: String, _ agent: UnsafeMutableRawPointer) -> Int32 {
    var found: UnsafeMutablePointer<CChar>?
    let status = calls.load_remote_md(agent, metadata, metadata.count, &found)
    defer { free(found) }
    guard status == Int32(xn_done) else { return status }
    let other = found.map { String(cString: $0) } ?? ""
    if other == name { return status }
    if peers[other] == nil { _ = calls.invalidate_remote_md(agent, other) }
    return -1
  }

  /// Once for each `meet`; the last ends the connection.
  func forget(_ name: String) {
    guard let agent, let count = peers[name] else { return }
    peers[name] = count > 1 ? count - 1 : nil
    if count == 1 { _ = calls.invalidate_remote_md(agent, name) }
  }

  /// Starts to read. On one host this returns when all has been read.
  /// - Returns: nil if it is done already.
  func post(_ spans: [NixlSpan], from peer: String) throws(KVTransferError) -> Request? {
    let agent = try living()
    var (local, remote): (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?)
    defer {
      for case let list? in [local, remote] { _ = calls.destroy_xfer_dlist(list) }
    }
    try Self.require(calls.create_xfer_dlist(Int32(xn_dram), &local), "create_xfer_dlist")
    try Self.require(calls.create_xfer_dlist(Int32(xn_dram), &remote), "create_xfer_dlist")
    guard let local, let remote else { throw .nixlFailed("create_xfer_dlist made none") }
    for span in spans {
      try Self.require(calls.xfer_dlist_add_desc(local, span.local, span.bytes, 0), "xfer_dlist_add_desc")
      try Self.require(calls.xfer_dlist_add_desc(remote, span.remote, span.bytes, 0), "xfer_dlist_add_desc")
    }
    var handle: UnsafeMutableRawPointer?
    let created = calls.create_xfer_req(agent, Int32(xn_read), local, remote, peer, &handle, options)
    try Self.require(created, "create_xfer_req")
    guard let handle else { throw .nixlFailed("create_xfer_req made none") }
    let status = calls.post_xfer_req(agent, handle, nil)
    if status == Int32(xn_in_progress) {
      running.insert(handle)
      return Request(handle: handle)
    }
    release(handle, agent)
    try Self.require(status, "post_xfer_req")
    return nil
  }

  /// After `done` and `failed` the request is gone.
  func status(of request: Request) -> Status {
    guard let agent, running.contains(request.handle) else { return .failed(0) }
    let status = calls.get_xfer_status(agent, request.handle)
    if status == Int32(xn_in_progress) { return .running }
    running.remove(request.handle)
    release(request.handle, agent)
    return status == Int32(xn_done) ? .done : .failed(status)
  }

  /// Lets peers' reads go on, where they need this side: all those over UCX's TCP, and the first of a connection.
  func progress() {
    guard let agent, let notices else { return }
    _ = calls.get_notifs(agent, notices, nil)
    _ = calls.notif_map_clear(notices)
  }

  private func release(_ request: UnsafeMutableRawPointer, _ agent: UnsafeMutableRawPointer) {
    _ = calls.release_xfer_req(agent, request)
    _ = calls.destroy_xfer_req(request)
  }

  private func living() throws(KVTransferError) -> UnsafeMutableRawPointer {
    guard let agent else { throw .nixlFailed("its session has ended") }
    return agent
  }

  private static func require(_ status: Int32, _ call: String) throws(KVTransferError) {
    guard status == Int32(xn_done) else { throw .nixlFailed("\(call) returned \(status)") }
  }
}
