import Engine
import KVBlocks
import KVOffload
import Logging
import Synchronization
import TestSupport
import Testing

/// Evicted KV comes back, and changes no token.
@Suite(.timeLimit(.minutes(5))) struct OffloadTests {
  private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// A store of so many blocks of memory and, over `disk`, so many more.
  private func store(
    _ pool: KVMemory, memory: Int, over disk: BlocksOnDisk? = nil, patience: Duration = .seconds(60)
  ) throws -> OffloadStore {
    var configuration = OffloadConfiguration(memoryBytes: 0)
    configuration.patience = patience
    return try OffloadStore(
      pool: pool, fingerprint: "fake", configuration: configuration,
      ledger: OffloadLedger(memory: memory, disk: disk == nil ? 0 : 256, restored: disk?.restored ?? []),
      memoryBlocks: memory, storage: disk, logger: Self.silent)
  }

  private func request(_ length: Int, seed: UInt64 = 0, salt: String? = nil) -> GenerationRequest {
    GenerationRequest(id: "r", promptTokens: prompt(length, seed: seed), sampling: greedy(4), cacheSalt: salt)
  }

  /// Runs a request that takes all of a small pool.
  private func evictAll(_ test: TestEngine) async throws {
    _ = try await test.run(request(29, seed: 99))
  }

  @Test(arguments: [(3, 0), (4, 0), (5, 4), (16, 12), (17, 16), (26, 24)])
  func `A repeated prompt computes what no full block holds, and its last token at least`(
    length: Int, kept: Int
  ) async throws {
    let test = try TestEngine(blocks: 8, blockSize: 4, offload: Offload { try store($0, memory: 32) })
    let first = try await test.run(request(length))
    try await evictAll(test)
    let second = try await test.run(request(length))
    #expect(first.ids == FakeModel.expectedTokens(prompt(length), greedy(4)) && second.ids == first.ids)
    let sources = second.result.promptTokens
    #expect(sources.offloaded == kept && sources.computed == length - kept && sources.prefixCache == 0)
    #expect(sources.total == length)
    try await test.expectAllFree()
  }

  @Test func `The prefix cache comes first, and what was kept goes on where it ends`() async throws {
    let test = try TestEngine(blocks: 8, blockSize: 4, offload: Offload { try store($0, memory: 32) })
    _ = try await test.run(request(25))
    // Takes four blocks: the end of the first prompt.
    _ = try await test.run(request(13, seed: 7))
    let output = try await test.run(request(25))
    #expect(output.ids == FakeModel.expectedTokens(prompt(25), greedy(4)))
    let sources = output.result.promptTokens
    #expect(sources.prefixCache > 0 && sources.offloaded > 0 && sources.prefixCache + sources.offloaded == 24)
    try await test.expectAllFree()
  }

  @Test func `What has another salt is not found`() async throws {
    let test = try TestEngine(blocks: 8, blockSize: 4, offload: Offload { try store($0, memory: 32) })
    _ = try await test.run(request(17, salt: "ours"))
    try await evictAll(test)
    for salt in [nil, "theirs"] {
      #expect(try await test.run(request(17, salt: salt)).result.promptTokens.computed == 17)
      try await evictAll(test)
    }
    #expect(try await test.run(request(17, salt: "ours")).result.promptTokens.offloaded == 16)
  }

  @Test func `After a reset nothing is found`() async throws {
    let test = try TestEngine(blocks: 8, blockSize: 4, offload: Offload { try store($0, memory: 32) })
    _ = try await test.run(request(17))
    try await evictAll(test)
    test.engine.resetPrefixCache()
    #expect(try await test.run(request(17)).result.promptTokens.computed == 17)
  }

  @Test func `A prompt's scores are computed, whatever is kept`() async throws {
    let test = try TestEngine(blocks: 8, blockSize: 4, offload: Offload { try store($0, memory: 32) })
    _ = try await test.run(request(17))
    try await evictAll(test)
    var scored = request(17)
    scored.sampling.promptLogprobs = 1
    #expect(try await test.run(scored).result.promptTokens.computed == 17)
  }

  @Test func `An engine that ends leaves its blocks on disk for the next`() async throws {
    let disk = BlocksOnDisk()
    let first = try TestEngine(blocks: 16, blockSize: 4, offload: Offload { try store($0, memory: 2, over: disk) })
    _ = try await first.run(request(17))
    await first.engine.shutdown(grace: .seconds(10))
    let next = try TestEngine(blocks: 16, blockSize: 4, offload: Offload { try store($0, memory: 2, over: disk) })
    let output = try await next.run(request(17))
    #expect(output.ids == FakeModel.expectedTokens(prompt(17), greedy(4)))
    #expect(output.result.promptTokens.offloaded == 16 && output.result.promptTokens.computed == 1)
  }

  @Test func `While one prompt waits for the disk, others are served, and it can be cancelled`() async throws {
    let disk = BlocksOnDisk()
    let first = try TestEngine(blocks: 16, blockSize: 4, offload: Offload { try store($0, memory: 2, over: disk) })
    _ = try await first.run(request(17))
    await first.engine.shutdown(grace: .seconds(10))
    let test = try TestEngine(blocks: 32, blockSize: 4, offload: Offload { try store($0, memory: 2, over: disk) })
    disk.gate.close()
    var waiting = request(17)
    waiting.id = "waiting"
    let stream = try test.engine.submit(waiting)
    await disk.gate.arrived(1)
    let other = try await test.run(request(20, seed: 5))
    #expect(other.ids == FakeModel.expectedTokens(prompt(20, seed: 5), greedy(4)))
    #expect(test.engine.statistics.pulling == 1)
    test.engine.cancel("waiting")
    #expect(await collect(stream).result.reason == .abort)
    #expect(test.engine.statistics.freeBlocks < 32)
    disk.gate.open()
    await test.engine.shutdown(grace: .seconds(10))
    #expect(test.engine.statistics.freeBlocks == 32)
  }

  /// The pool holds a few prompts, memory twice as many, the disk most; it spoils some blocks.
  @Test(arguments: [UInt64(1), 2])
  func `Five hundred prompts with few beginnings get the right tokens, whatever comes from where`(
    seed: UInt64
  ) async throws {
    var random = SplitMix64(seed: seed)
    let disk = BlocksOnDisk(spoilsEvery: 10)
    let test = try TestEngine(blocks: 40, blockSize: 4, offload: Offload { try store($0, memory: 24, over: disk) }) {
      $0.maxBatchedTokens = 24
      $0.maxSequences = 6
    }
    let plans = (0..<500).map { index in
      let beginning = prompt(40, seed: UInt64.random(in: 0..<12, using: &random))
        .prefix(Int.random(in: 0...40, using: &random))
      return GenerationRequest(
        id: "r\(index)", promptTokens: beginning + prompt(Int.random(in: 1...20, using: &random), seed: UInt64(index)),
        sampling: greedy(Int.random(in: 1...20, using: &random)),
        cacheSalt: Bool.random(using: &random) ? nil : "salt")
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, plan) in plans.enumerated() {
        if index >= 16 { try await group.next() }
        group.addTask {
          let output = try await test.run(plan)
          #expect(output.ids == FakeModel.expectedTokens(plan.promptTokens, plan.sampling), "\(plan.id)")
          #expect(output.result.promptTokens.total == plan.promptTokens.count)
        }
      }
      try await group.waitForAll()
    }
    try await test.expectAllFree()
    let statistics = test.engine.statistics
    #expect(statistics.promptTokens.offloaded > 0 && statistics.preemptions > 0)
    #expect(disk.spoilt > 0)
  }
}

/// A disk in memory that outlives its store, waits at a gate when it reads, and notices what it has spoilt.
private final class BlocksOnDisk: BlockStorage {
  private struct State {
    var places: [KVBlockID: (name: KVBlockName, order: UInt64, bytes: [UInt8])] = [:]
    var reads = 0
    var spoilt = 0
  }

  let gate = ReadGate()
  private let spoilsEvery: Int?
  private let state = Mutex(State())

  init(spoilsEvery: Int? = nil) { self.spoilsEvery = spoilsEvery }

  var spoilt: Int { state.withLock { $0.spoilt } }

  var restored: [(place: KVBlockID, name: KVBlockName)] {
    state.withLock { $0.places.sorted { $0.value.order < $1.value.order }.map { ($0.key, $0.value.name) } }
  }

  func write(
    _ bytes: UnsafeRawBufferPointer, named name: KVBlockName, order: UInt64, to place: KVBlockID
  ) throws(OffloadError) {
    state.withLock { $0.places[place] = (name, order, Array(bytes)) }
  }

  func read(from place: KVBlockID, into bytes: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    gate.pass()
    let found = state.withLock { state -> [UInt8]? in
      state.reads += 1
      if let spoilsEvery, state.reads.isMultiple(of: spoilsEvery) {
        state.spoilt += 1
        return nil
      }
      return state.places[place]?.bytes
    }
    guard let found else {
      bytes.copyBytes(from: repeatElement(0x5A, count: bytes.count))
      throw .corruptBlock
    }
    bytes.copyBytes(from: found)
  }

  func forget() throws(OffloadError) { state.withLock { $0.places = [:] } }
}
