import KVBlocks
import KVOffload
import Testing

/// The store with real memory and files: what goes in comes out, bit for bit, or does not come out.
@Suite(.timeLimit(.minutes(5))) struct OffloadStoreTests {
  private static let disk = 8

  private func store(
    _ pool: TestPool, _ folder: TestFolder?, memory: Int = 3, disk: Int = Self.disk, model: String = "m"
  ) throws -> OffloadStore {
    let bytes = pool.memory.layout.bytesPerBlock
    // Small tiers, which a real configuration would not have on the way to the disk.
    let file = try folder.map { folder in
      try BlockFile(
        folder: folder.path, capacity: disk, bytesPerBlock: bytes, root: .root(fingerprint: model, salt: nil))
    }
    return try OffloadStore(
      pool: pool.memory, fingerprint: model, configuration: OffloadConfiguration(memoryBytes: memory * bytes),
      ledger: OffloadLedger(memory: memory, disk: file == nil ? 0 : disk, restored: file?.restored ?? []),
      memoryBlocks: memory, storage: file, firstOrder: file?.firstOrder ?? 0, logger: .silent)
  }

  @Test func `What was evicted comes back from memory, as far as memory goes`() async throws {
    let pool = try TestPool()
    let store = try store(pool, nil)
    for block in 0..<4 { pool.evict(block, to: store) }
    #expect(await pool.restore(0..<1, from: store) == 0)
    #expect(await pool.restore(1..<4, from: store) == 3)
    let statistics = store.statistics
    #expect(statistics[.memory].hits == 3 && statistics[.memory].loaded == 3 && statistics[.memory].blocks == 3)
    #expect(statistics[.memory].evictions == 1 && statistics[.disk] == OffloadStatistics.Tier())
  }

  @Test func `What memory gave up comes back from disk, and after a restart all of it`() async throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    do {
      let store = try store(pool, folder)
      for block in 0..<6 {
        pool.evict(block, to: store)
        store.close(keeping: [])
      }
      // Closed after each: nothing more goes to the disk.
      #expect(store.statistics[.disk].stored == 1)
    }
    do {
      let store = try store(pool, folder)
      store.close(keeping: (1..<6).map(pool.named))
      #expect(await pool.restore(0..<6, from: store) == 6)
      #expect(store.statistics[.disk].stored == 5 && store.statistics[.disk].hits == 3)
    }
    let store = try store(pool, folder)
    #expect(await pool.restore(0..<6, from: store) == 6)
    #expect(store.statistics[.disk].hits == 6 && store.statistics[.disk].loaded == 6)
  }

  @Test func `The disk is as large as it may be, and gives up what was written first`() async throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    var store: OffloadStore? = try store(pool, folder, disk: 4)
    store!.close(keeping: (0..<7).map(pool.named))
    #expect(store!.statistics[.disk].blocks == 4 && store!.statistics[.disk].evictions == 3)
    #expect(folder.size(of: "data") == 4 * pool.memory.layout.bytesPerBlock)
    store = nil
    // Less room than before: the newer half of it is in the places that are left, or gone.
    store = try self.store(pool, folder, disk: 2)
    #expect(folder.size(of: "data") == 2 * pool.memory.layout.bytesPerBlock)
    var found = 0
    for block in 0..<7 { found += await pool.restore(block..<block + 1, from: store!) }
    #expect(found == 2)
  }

  /// Where a byte changes, or the file ends, in the block that is third on disk; and how many of five are left.
  @Test(arguments: [
    ("data", 2 * TestPool.blockBytes, false, 2), ("data", 3 * TestPool.blockBytes - 1, false, 2),
    ("data", 2 * TestPool.blockBytes + 1, true, 2), ("data", 0, true, 0),
    ("index", 64 + 2 * 64, false, 2), ("index", 64 + 2 * 64 + 40, false, 2), ("index", 64 + 2 * 64 + 63, false, 2),
    ("index", 64 + 2 * 64 + 1, true, 2), ("index", 9, false, 0), ("index", 63, false, 0), ("index", 0, true, 0),
  ])
  func `A spoilt byte costs its block and what comes after it, and nothing wrong is found`(
    file: String, offset: Int, cuts: Bool, left: Int
  ) async throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    try store(pool, folder).close(keeping: (0..<5).map(pool.named))
    folder.spoil(file, at: offset, cutting: cuts)
    let store = try store(pool, folder)
    #expect(await pool.restore(0..<5, from: store) == left)
    // It is not looked for again, and takes a new block.
    #expect(await pool.restore(2..<3, from: store) == 0)
    #expect(store.statistics.failures["corrupt", default: 0] == (file == "data" && !cuts ? 1 : 0))
    store.close(keeping: (0..<5).map(pool.named))
    #expect(await pool.restore(0..<5, from: store) == 5)
  }

  @Test func `Another model's blocks are not found, and give way`() async throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    try store(pool, folder).close(keeping: (0..<5).map(pool.named))
    let other = try store(pool, folder, model: "n")
    #expect(await pool.restore(0..<1, from: other) == 0)
    #expect(other.statistics[.disk].blocks == 0)
  }

  @Test func `Workers of one folder have files of their own, and somebody else's file stays as it is`() throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    let first = try store(pool, folder)
    let second = try store(pool, folder)
    for store in [first, second] { store.close(keeping: [pool.named(0)]) }
    #expect(first.statistics[.disk].stored == 1 && second.statistics[.disk].stored == 1)
    let foreign = TestFolder()
    foreign.write("index", Array("somebody's notes".utf8))
    let error = #expect(throws: OffloadError.self) { try store(pool, foreign) }
    #expect(error == .foreignFile(path: foreign.file("index")) && foreign.size(of: "index") == 16)
  }

  @Test func `What was forgotten is not found, now or after a restart`() async throws {
    let (pool, folder) = (try TestPool(), TestFolder())
    do {
      let store = try store(pool, folder)
      store.close(keeping: (0..<5).map(pool.named))
      store.forget()
      #expect(await pool.restore(0..<1, from: store) == 0)
      // Waits for what `forget` does on disk.
      store.close(keeping: [])
    }
    let store = try store(pool, folder)
    #expect(await pool.restore(0..<1, from: store) == 0)
  }

  @Test func `A full disk is given up, and memory goes on`() async throws {
    let pool = try TestPool()
    let storage = FaultyStorage(failsWrites: true)
    let store = try pool.store(over: storage)
    store.close(keeping: (0..<2).map(pool.named))
    #expect(store.statistics.failures == ["io": 1] && !store.statistics.hasDisk)
    #expect(await pool.restore(0..<2, from: store) == 2)
  }

  @Test func `A disk that hangs holds nobody up, and writes to no block that is somebody else's by then`() async throws
  {
    let pool = try TestPool()
    let storage = FaultyStorage()
    let store = try pool.store(over: storage)
    store.close(keeping: (0..<5).map(pool.named))
    storage.hang()
    #expect(await pool.restore(0..<5, from: store) == 0)
    pool.fill(TestPool.destination, with: 0xAB)
    // The disk has nothing for the next, who does not wait.
    #expect(store.find(after: pool.parent(of: 0), pool.tokens(0..<5)) == nil)
    storage.answer()
    // Then it has something again.
    while store.find(after: pool.parent(of: 0), pool.tokens(0..<1)).map({ store.abandon($0) }) == nil {
      await Task.yield()
    }
    #expect(pool.holds(0xAB, in: TestPool.destination))
    #expect(await pool.restore(0..<5, from: store) == 5)
    #expect(store.statistics.failures == ["overdue": 1])
  }

  @Test func `A tier that holds no block is refused with both sizes`() throws {
    let pool = try TestPool()
    let bytes = pool.memory.layout.bytesPerBlock
    let error = #expect(throws: OffloadError.self) {
      try OffloadStore(
        pool: pool.memory, fingerprint: "m", configuration: OffloadConfiguration(memoryBytes: bytes - 1),
        logger: .silent)
    }
    #expect(error == .tierTooSmall(.memory, bytes: bytes - 1, bytesPerBlock: bytes))
  }
}
