import KVBlocks
import KVOffload
import Logging
import Synchronization

extension Logger {
  static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// A pool's memory whose block i holds bytes that only i decides, under the name of a prompt's i-th block.
struct TestPool {
  static let blockSize = 2
  static let blockBytes = 2 * 64 * blockSize * 4
  /// Blocks from here on are what is restored to.
  static let destination = 8

  let memory: KVMemory
  private let names: [KVBlockName]

  init() throws {
    memory = try KVMemory(
      layout: KVLayout(layers: 1, kvHeads: 1, headDim: 64, elementType: .f32, blockSize: Self.blockSize), blockCount: 16
    )
    var names = [KVBlockName.root(fingerprint: "m", salt: nil)]
    for block in 0..<Self.destination {
      names.append(names[block].next(Self.tokens(block..<block + 1)))
    }
    self.names = names
    for block in 0..<Self.destination { fill(block, with: UInt8(block + 1)) }
  }

  private static func tokens(_ blocks: Range<Int>) -> ArraySlice<Int32> {
    Array(Int32(blocks.lowerBound * blockSize)..<Int32(blocks.upperBound * blockSize))[...]
  }

  func tokens(_ blocks: Range<Int>) -> ArraySlice<Int32> { Self.tokens(blocks) }

  func parent(of block: Int) -> KVBlockName { names[block] }

  func named(_ block: Int) -> KVBlockPool.Named {
    KVBlockPool.Named(block: KVBlockID(Int32(block)), name: names[block + 1])
  }

  func evict(_ block: Int, to store: OffloadStore) { store.keep([named(block)]) }

  func fill(_ block: Int, with byte: UInt8) {
    let bytes = memory.bytes(of: KVBlockID(Int32(block)))
    for index in bytes.indices { bytes[index] = byte &+ UInt8(truncatingIfNeeded: index &* 7) }
  }

  func holds(_ byte: UInt8, in block: Int) -> Bool {
    let bytes = memory.bytes(of: KVBlockID(Int32(block)))
    return bytes.indices.allSatisfy { bytes[$0] == byte &+ UInt8(truncatingIfNeeded: $0 &* 7) }
  }

  /// Looks for these blocks and loads them.
  /// - Returns: How many came, each with the bytes that it was given away with; −1 if one has others.
  func restore(_ blocks: Range<Int>, from store: OffloadStore) async -> Int {
    for block in blocks.indices { fill(Self.destination + block - blocks.lowerBound, with: 0xEE) }
    guard let ticket = store.find(after: parent(of: blocks.lowerBound), tokens(blocks)) else { return 0 }
    let destination = blocks.map { KVBlockID(Int32(Self.destination + $0 - blocks.lowerBound)) }
    let count = await withCheckedContinuation { done in
      store.load(ticket, into: destination) { done.resume(returning: $0) }
    }
    let areRight = (0..<count).allSatisfy {
      holds(UInt8(blocks.lowerBound + $0 + 1), in: Self.destination + $0)
    }
    return areRight ? count : -1
  }

  /// Two blocks of memory, and a disk that does what the test says and waits for no one.
  func store(over storage: FaultyStorage) throws -> OffloadStore {
    var configuration = OffloadConfiguration(memoryBytes: 2 * memory.layout.bytesPerBlock)
    configuration.patience = .seconds(1)
    return try OffloadStore(
      pool: memory, fingerprint: "m", configuration: configuration, ledger: OffloadLedger(memory: 2, disk: 8),
      memoryBlocks: 2, storage: storage, logger: .silent)
  }
}
