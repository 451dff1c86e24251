import KVBlocks
import KVOffload
import TestSupport
import Testing

/// Random operations, each checked against what a naive owner of both tiers would say.
@Suite struct OffloadLedgerTests {
  /// What is where, and who is at work on it.
  fileprivate struct World {
    var ledger: OffloadLedger
    var random: SplitMix64
    /// What the last writer put into each place.
    var memory: [KVBlockID: KVBlockName] = [:]
    var disk: [KVBlockID: KVBlockName] = [:]
    /// Blocks that wait for the disk, in order, and the one that is being written.
    var queue: [(name: KVBlockName, place: KVBlockID)] = []
    var writing: OffloadLedger.Write?
    var readers: [[OffloadLedger.Source]] = []

    var readPlaces: (memory: Set<KVBlockID>, disk: Set<KVBlockID>) {
      var places: (memory: Set<KVBlockID>, disk: Set<KVBlockID>) = ([], [])
      for source in readers.joined() {
        switch source {
        case .memory(let place): places.memory.insert(place)
        case .disk(let place, _): places.disk.insert(place)
        }
      }
      return places
    }
  }

  /// Few names, so that they meet often.
  fileprivate static let names: [KVBlockName] = (0..<24).map { number in
    KVBlockName.root(fingerprint: "test", salt: nil).next([number])
  }

  @Test(arguments: [(UInt64(1), 4, 6), (2, 2, 3), (3, 8, 2), (4, 5, 0), (5, 16, 16)])
  func `Nobody's block is overwritten, and what is found is what was put there`(
    seed: UInt64, memory: Int, disk: Int
  ) throws {
    var world = World(ledger: OffloadLedger(memory: memory, disk: disk), random: SplitMix64(seed: seed))
    for _ in 0..<20_000 {
      switch Int.random(in: 0..<100, using: &world.random) {
      case ..<35: try admit(&world, halfOf: memory)
      case ..<50: try beginWrite(&world)
      case ..<65: endWrite(&world, succeeded: Int.random(in: 0..<10, using: &world.random) > 0)
      case ..<80: try find(&world)
      case ..<98: release(&world)
      case 98: world.ledger.lose(world.name(), .corruptBlock)
      default: world.ledger.forget()
      }
      let statistics = world.ledger.statistics
      try #require(statistics[.memory].blocks <= memory && statistics[.disk].blocks <= disk)
    }
    while !world.queue.isEmpty {
      try beginWrite(&world)
      endWrite(&world, succeeded: true)
    }
    while !world.readers.isEmpty { release(&world) }
    // Nothing is pinned any more: both tiers take as much as they ever did.
    world.ledger.forget()
    for number in 0..<memory {
      let name = KVBlockName.root(fingerprint: "last", salt: nil).next([Int32(number)])
      let admitted = world.ledger.admit(name)
      let place = try #require(admitted)
      guard world.ledger.admitted(name, at: place) else { continue }
      let write = world.ledger.beginWrite(name)
      #expect(write != nil)
      world.ledger.endWrite(name, from: place, write, succeeded: true)
    }
    let statistics = world.ledger.statistics
    #expect(statistics[.memory].blocks == memory && statistics[.disk].blocks == min(disk, memory))
  }

  private func admit(_ world: inout World, halfOf capacity: Int) throws {
    let name = world.name()
    guard let place = world.ledger.admit(name) else { return }
    try #require(!world.readPlaces.memory.contains(place), "memory that is read was given away")
    try #require(!world.queue.contains { $0.place == place }, "memory that waits for the disk was given away")
    world.memory[place] = name
    guard world.ledger.admitted(name, at: place) else { return }
    world.queue.append((name, place))
    try #require(world.queue.count <= capacity / 2)
  }

  private func beginWrite(_ world: inout World) throws {
    guard world.writing == nil, let next = world.queue.first else { return }
    try #require(world.memory[next.place] == next.name)
    world.writing = world.ledger.beginWrite(next.name)
    guard let write = world.writing else {
      world.queue.removeFirst()
      return world.ledger.endWrite(next.name, from: next.place, nil, succeeded: true)
    }
    try #require(!world.readPlaces.disk.contains(write.place), "a place on disk that is read was given away")
    world.disk[write.place] = nil
  }

  private func endWrite(_ world: inout World, succeeded: Bool) {
    guard let write = world.writing else { return }
    let (name, place) = world.queue.removeFirst()
    if succeeded { world.disk[write.place] = name }
    world.ledger.endWrite(name, from: place, write, succeeded: succeeded)
    world.writing = nil
  }

  private func find(_ world: inout World) throws {
    let start = Int.random(in: 0..<Self.names.count, using: &world.random)
    let count = Int.random(in: 1...3, using: &world.random)
    var asked: [KVBlockName] = []
    let sources = world.ledger.find(count) {
      asked.append(Self.names[(start + asked.count) % Self.names.count])
      return asked.last!
    }
    for (name, source) in zip(asked, sources) {
      switch source {
      case .memory(let place): try #require(world.memory[place] == name)
      case .disk(let place, let found): try #require(world.disk[place] == name && found == name)
      }
    }
    if !sources.isEmpty { world.readers.append(sources) }
  }

  private func release(_ world: inout World) {
    guard !world.readers.isEmpty else { return }
    let index = Int.random(in: world.readers.indices, using: &world.random)
    let sources = world.readers.remove(at: index)
    world.ledger.release(sources, loaded: Int.random(in: 0...sources.count, using: &world.random))
  }

  // MARK: By hand

  private func put(_ name: KVBlockName, into ledger: inout OffloadLedger, onDisk: Bool = true) {
    guard let place = ledger.admit(name), ledger.admitted(name, at: place) else { return }
    let write = onDisk ? ledger.beginWrite(name) : nil
    ledger.endWrite(name, from: place, write, succeeded: true)
  }

  private func tiers(of names: ArraySlice<KVBlockName>, in ledger: inout OffloadLedger) -> [OffloadTier] {
    var rest = names
    let sources = ledger.find(names.count) { rest.removeFirst() }
    ledger.release(sources, loaded: sources.count)
    return sources.map { if case .memory = $0 { .memory } else { .disk } }
  }

  @Test func `What memory gives up first is what was used longest ago, and the disk still has it`() {
    var ledger = OffloadLedger(memory: 2, disk: 8)
    for name in Self.names[..<2] { put(name, into: &ledger) }
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [.memory])
    put(Self.names[2], into: &ledger)
    #expect(tiers(of: Self.names[..<3], in: &ledger) == [.memory, .disk, .memory])
    let statistics = ledger.statistics
    #expect(statistics[.memory].hits == 3 && statistics[.memory].misses == 1 && statistics[.memory].evictions == 1)
    #expect(statistics[.disk].hits == 1 && statistics[.disk].misses == 0 && statistics[.disk].stored == 3)
    #expect(statistics[.memory].loaded == 3 && statistics[.disk].loaded == 1)
  }

  @Test func `A prefix ends at the first block that is nowhere`() {
    var ledger = OffloadLedger(memory: 4, disk: 0)
    for index in [0, 1, 3] { put(Self.names[index], into: &ledger) }
    #expect(tiers(of: Self.names[..<4], in: &ledger) == [.memory, .memory])
    #expect(tiers(of: Self.names[2..<4], in: &ledger) == [])
  }

  @Test func `A disk that hangs has nothing, until it answers`() {
    var ledger = OffloadLedger(memory: 2, disk: 4)
    for name in Self.names[..<3] { put(name, into: &ledger) }
    ledger.readIsOverdue()
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [])
    ledger.overdueReadEnded()
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [.disk])
    #expect(ledger.statistics.failures == ["overdue": 1])
  }

  @Test func `A disk that has failed is given up, whoever reads or writes; memory stays`() {
    var ledger = OffloadLedger(memory: 2, disk: 4)
    for name in Self.names[..<3] { put(name, into: &ledger) }
    let read = ledger.find(1) { Self.names[0] }
    let place = ledger.admit(Self.names[5])!
    let goesToDisk = ledger.admitted(Self.names[5], at: place)
    let write = ledger.beginWrite(Self.names[5])
    #expect(read.count == 1 && goesToDisk && write != nil)
    ledger.loseDisk(.failedIO(call: "pwrite", errno: 28))
    ledger.endWrite(Self.names[5], from: place, write, succeeded: false)
    ledger.release(read, loaded: 1)
    #expect(!ledger.statistics.hasDisk && ledger.statistics.failures == ["io": 1])
    #expect(tiers(of: Self.names[5..<6], in: &ledger) == [.memory])
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [])
  }

  @Test func `What was on its way when all was forgotten is not found`() {
    var ledger = OffloadLedger(memory: 4, disk: 4)
    let place = ledger.admit(Self.names[0])!
    let goesToDisk = ledger.admitted(Self.names[0], at: place)
    #expect(goesToDisk)
    let write = ledger.beginWrite(Self.names[0])
    ledger.forget()
    ledger.endWrite(Self.names[0], from: place, write, succeeded: true)
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [])
  }

  @Test func `What the disk held before is found, and the oldest gives way`() {
    let restored = (0..<3).map { (place: KVBlockID(Int32(2 - $0)), name: Self.names[$0]) }
    var ledger = OffloadLedger(memory: 2, disk: 3, restored: restored)
    #expect(tiers(of: Self.names[1..<3], in: &ledger) == [.disk, .disk])
    put(Self.names[9], into: &ledger)
    #expect(tiers(of: Self.names[..<1], in: &ledger) == [])
    #expect(tiers(of: Self.names[1..<3], in: &ledger) == [.disk, .disk])
  }
}

extension OffloadLedgerTests.World {
  fileprivate mutating func name() -> KVBlockName { OffloadLedgerTests.names.randomElement(using: &random)! }
}
