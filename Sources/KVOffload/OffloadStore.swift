import CLinux
import Dispatch
import KVBlocks
import Logging
import Synchronization

/// Keeps KV that an engine's pool evicts, in memory and on disk, for prompts that come again.
///
/// `keep` and `find` are for the engine's thread, and never touch the disk. `load` copies what was found into the pool, on
/// queues of its own; `close` at the end, which writes out what it can.
package final class OffloadStore: Sendable {
  /// Blocks that were found for a prompt. Must be given to `load` or `abandon`.
  package struct Ticket: Sendable {
    fileprivate let sources: [OffloadLedger.Source]
    /// In the prompt's order.
    package var blockCount: Int { sources.count }
  }

  /// Of what blocks' names are made.
  package let fingerprint: String
  private let pool: KVMemory
  private let memory: KVMemory
  private let storage: (any BlockStorage)?
  private let configuration: OffloadConfiguration
  private let logger: Logger
  private let ledger: Mutex<OffloadLedger>
  private let order: Atomic<UInt64>
  private let isClosed = Atomic(false)

  // What blocks has a queue of its own, so that it holds up nothing else: a write no read, a disk no memory.
  private let memoryReads = DispatchQueue(label: "xpyd.kv-offload.memory-reads")
  private let diskReads = DispatchQueue(label: "xpyd.kv-offload.disk-reads")
  private let diskWrites = DispatchQueue(label: "xpyd.kv-offload.disk-writes")
  private let deadlines = DispatchQueue(label: "xpyd.kv-offload.deadlines")
  // SAFETY: touched on `diskReads` only, one read after the other.
  private nonisolated(unsafe) let bounce: UnsafeMutableRawBufferPointer

  /// - Parameters:
  ///   - pool: the engine's.
  ///   - fingerprint: Equal only if KV computed from the same tokens has the same bits; the layout is added to it.
  /// - Throws: `OffloadError` or `KVMemoryError`.
  package convenience init(
    pool: KVMemory, fingerprint: String, configuration: OffloadConfiguration, logger: Logger
  ) throws {
    let capacities = try configuration.capacities(bytesPerBlock: pool.layout.bytesPerBlock)
    let name = "\(fingerprint), \(pool.layout)"
    let file = try configuration.disk.map { disk in
      try BlockFile(
        folder: disk.folder, capacity: capacities.disk, bytesPerBlock: pool.layout.bytesPerBlock,
        root: .root(fingerprint: name, salt: nil))
    }
    try self.init(
      pool: pool, fingerprint: name, configuration: configuration,
      ledger: OffloadLedger(memory: capacities.memory, disk: capacities.disk, restored: file?.restored ?? []),
      memoryBlocks: capacities.memory, storage: file, firstOrder: file?.firstOrder ?? 0, logger: logger)
    logger.info(
      "Evicted KV is kept",
      metadata: [
        "memory.blocks": "\(capacities.memory)", "disk.blocks": "\(capacities.disk)",
        "disk.file": "\(file?.path ?? "none")", "disk.restored": "\(file?.restored.count ?? 0)",
      ])
  }

  /// - Parameter storage: of as many places as the ledger's disk; nil: there is no disk.
  package init(
    pool: KVMemory, fingerprint: String, configuration: OffloadConfiguration, ledger: OffloadLedger, memoryBlocks: Int,
    storage: (any BlockStorage)?, firstOrder: UInt64 = 0, logger: Logger
  ) throws {
    self.pool = pool
    self.fingerprint = fingerprint
    self.configuration = configuration
    self.ledger = Mutex(ledger)
    self.storage = storage
    self.order = Atomic(firstOrder)
    self.logger = logger
    memory = try KVMemory(layout: pool.layout, blockCount: memoryBlocks)
    bounce = .allocate(byteCount: pool.layout.bytesPerBlock, alignment: 4096)
  }

  deinit { bounce.deallocate() }

  package var statistics: OffloadStatistics { ledger.withLock { $0.statistics } }

  package var bytesPerBlock: Int { pool.layout.bytesPerBlock }

  // MARK: Blocks come

  /// Copies blocks that the pool has given away, before anybody writes to them.
  package func keep(_ evicted: [KVBlockPool.Named]) {
    for block in evicted { keep(block) }
  }

  private func keep(_ block: KVBlockPool.Named) {
    guard let place = ledger.withLock({ $0.admit(block.name) }) else { return }
    xs_copy_streaming(
      memory.bytes(of: place).baseAddress!, pool.bytes(of: block.block).baseAddress!, bytesPerBlock)
    guard ledger.withLock({ $0.admitted(block.name, at: place) }) else { return }
    diskWrites.async { [self] in write(block.name, from: place) }
  }

  /// On `diskWrites`.
  private func write(_ name: KVBlockName, from place: KVBlockID) {
    let write = isClosed.load(ordering: .relaxed) ? nil : ledger.withLock { $0.beginWrite(name) }
    var failure: OffloadError?
    if let write {
      do throws(OffloadError) {
        try storage!.write(
          UnsafeRawBufferPointer(memory.bytes(of: place)), named: name,
          order: order.wrappingAdd(1, ordering: .relaxed).oldValue, to: write.place)
      } catch {
        failure = error
      }
    }
    ledger.withLock { $0.endWrite(name, from: place, write, succeeded: failure == nil) }
    if let failure { loseDisk(failure) }
  }

  private func loseDisk(_ error: OffloadError) {
    ledger.withLock { $0.loseDisk(error) }
    logger.warning("No KV is kept on disk any more", metadata: ["reason": "\(error)"])
  }

  // MARK: Blocks are found

  /// The blocks that hold a prompt's next tokens, as far as they are here; nil if not even the first is.
  /// - Parameters:
  ///   - parent: The name of the block before, or of the empty prompt.
  ///   - tokens: What follows it.
  package func find(after parent: KVBlockName, _ tokens: ArraySlice<Int32>) -> Ticket? {
    let blockSize = pool.layout.blockSize
    var (name, start) = (parent, tokens.startIndex)
    let sources = ledger.withLock { ledger in
      ledger.find(tokens.count / blockSize) {
        name = name.next(tokens[start..<start + blockSize])
        start += blockSize
        return name
      }
    }
    return sources.isEmpty ? nil : Ticket(sources: sources)
  }

  /// Copies what was found into the pool, as far as it can be read in time.
  /// - Parameters:
  ///   - destination: At least as many blocks as were found, which nobody else reads or writes until `done`.
  ///   - done: Called once, on any thread, with how many of the blocks have come.
  package func load(
    _ ticket: Ticket, into destination: [KVBlockID], done: @escaping @Sendable (_ blocks: Int) -> Void
  ) {
    precondition(destination.count >= ticket.blockCount)
    let gate = LoadGate()
    let needsDisk = ticket.sources.contains { if case .disk = $0 { true } else { false } }
    guard needsDisk else {
      return memoryReads.async { [self] in
        read(ticket, into: destination, gate)
        if let count = gate.close() { done(count) }
      }
    }
    let patience = DispatchTimeInterval.nanoseconds(Int(configuration.patience / .nanoseconds(1)))
    // Weak: the read holds on to the store for as long as it takes, not for as long as it may take.
    deadlines.asyncAfter(deadline: .now() + patience) { [weak self] in
      guard let count = gate.close() else { return }
      self?.ledger.withLock { $0.readIsOverdue() }
      done(count)
    }
    diskReads.async { [self] in
      read(ticket, into: destination, gate)
      if let count = gate.close() { done(count) } else { ledger.withLock { $0.overdueReadEnded() } }
    }
  }

  /// Nobody wants what was found.
  package func abandon(_ ticket: Ticket) { ledger.withLock { $0.release(ticket.sources, loaded: 0) } }

  private func read(_ ticket: Ticket, into destination: [KVBlockID], _ gate: LoadGate) {
    var loaded = 0
    for (source, block) in zip(ticket.sources, destination) {
      guard gate.isOpen, read(source, into: pool.bytes(of: block), gate) else { break }
      loaded += 1
    }
    ledger.withLock { $0.release(ticket.sources, loaded: loaded) }
  }

  /// - Returns: False if the block could not be read, or came too late.
  private func read(
    _ source: OffloadLedger.Source, into destination: UnsafeMutableRawBufferPointer, _ gate: LoadGate
  ) -> Bool {
    switch source {
    case .memory(let place):
      return gate.pass { destination.copyMemory(from: UnsafeRawBufferPointer(memory.bytes(of: place))) }
    case .disk(let place, let name):
      do throws(OffloadError) {
        // Not into the pool: if the disk hangs, its block must be free for others.
        try storage!.read(from: place, into: bounce)
      } catch {
        ledger.withLock { $0.lose(name, error) }
        logger.warning("A block of KV could not be read from disk", metadata: ["reason": "\(error)"])
        return false
      }
      return gate.pass { destination.copyMemory(from: UnsafeRawBufferPointer(bounce)) }
    }
  }

  // MARK: Ends

  /// Nothing that came before is found any more, now or after a restart.
  package func forget() {
    ledger.withLock { $0.forget() }
    guard let storage else { return }
    diskWrites.async { [self] in
      do throws(OffloadError) { try storage.forget() } catch { loseDisk(error) }
    }
  }

  /// Writes blocks that are still in the pool to the disk, if there is one, and waits for all that is on its way there; no
  /// longer than `flushTime`. Blocks the calling thread. Nothing goes to the disk afterwards.
  package func close(keeping blocks: [KVBlockPool.Named]) {
    let deadline = DispatchTime.now() + .nanoseconds(Int(configuration.flushTime / .nanoseconds(1)))
    if storage != nil {
      for block in blocks where DispatchTime.now() < deadline {
        if ledger.withLock({ $0.isBehind }) { Self.wait(for: diskWrites, until: deadline) }
        keep(block)
      }
    }
    for queue in [diskWrites, diskReads, memoryReads] { Self.wait(for: queue, until: deadline) }
    isClosed.store(true, ordering: .relaxed)
  }

  private static func wait(for queue: DispatchQueue, until deadline: DispatchTime) {
    let isPast = DispatchSemaphore(value: 0)
    queue.async { isPast.signal() }
    _ = isPast.wait(timeout: deadline)
  }
}
