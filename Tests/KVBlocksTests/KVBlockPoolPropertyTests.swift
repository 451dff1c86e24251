import KVBlocks
import TestSupport
import Testing

/// 20,000 random operations, each checked against what a naive owner of blocks would say.
@Suite struct KVBlockPoolPropertyTests {
  /// A sequence that holds blocks, and what it knows of each.
  private struct Holder {
    var tokens: [Int32]
    var salt: String?
    var table: KVBlockTable
  }

  /// Knows which holder has which block, and what was last written to each block.
  private struct Ledger {
    var contents: [KVBlockID: [Int32]] = [:]

    func references(_ holders: [Holder]) -> [KVBlockID: Int] {
      holders.reduce(into: [:]) { counts, holder in
        for block in holder.table.blocks { counts[block, default: 0] += 1 }
      }
    }
  }

  /// The prefix that ends with a block, as a path that no other prefix has.
  private static func path(_ tokens: [Int32], upTo end: Int, salt: String?) -> [Int32] {
    [salt == nil ? -1 : -2] + tokens.prefix(end)
  }

  @Test(arguments: [(UInt64(1), 24, 4), (2, 7, 2), (3, 64, 4)])
  func `References, free counts and found prefixes are those of a naive model`(
    seed: UInt64, blockCount: Int, blockSize: Int
  ) throws {
    var random = SplitMix64(seed: seed)
    var pool = KVBlockPool(blockCount: blockCount, blockSize: blockSize)
    var holders: [Holder] = []
    var ledger = Ledger()
    for _ in 0..<20_000 {
      if !holders.isEmpty, Int.random(in: 0..<100, using: &random) < 48 {
        let index = Int.random(in: holders.indices, using: &random)
        pool.release(holders.remove(at: index).table.blocks)
      } else {
        // Few different tokens, so that prefixes are often shared.
        let length = Int.random(in: 1...blockSize * 5, using: &random)
        let tokens = (0..<length).map { _ in Int32.random(in: 0...1, using: &random) }
        let salt: String? = Bool.random(using: &random) ? nil : "s"
        try admit(tokens, salt: salt, &pool, &holders, &ledger)
      }
      try check(pool, holders, ledger)
    }
    for holder in holders { pool.release(holder.table.blocks) }
    #expect(pool.freeCount == blockCount)
  }

  private func admit(
    _ tokens: [Int32], salt: String?, _ pool: inout KVBlockPool, _ holders: inout [Holder], _ ledger: inout Ledger
  ) throws {
    let size = pool.blockSize
    let prefix = pool.cachedPrefix(of: tokens[...], salt: salt)
    for (index, block) in prefix.enumerated() {
      try #require(ledger.contents[block] == Self.path(tokens, upTo: (index + 1) * size, salt: salt))
    }
    let free = pool.freeCount
    guard let blocks = pool.allocate(pool.blocks(forTokens: tokens.count) - prefix.count, after: prefix) else {
      try #require(pool.freeCount == free)
      return
    }
    let held = ledger.references(holders)
    for block in blocks.dropFirst(prefix.count) {
      try #require(held[block] == nil, "block \(block) was given out twice")
      ledger.contents[block] = nil
    }
    var table = KVBlockTable(blocks: blocks, cachedBlocks: prefix.count)
    for index in prefix.count..<blocks.count where (index + 1) * size <= tokens.count {
      ledger.contents[blocks[index]] = Self.path(tokens, upTo: (index + 1) * size, salt: salt)
    }
    pool.cache(&table, tokens: tokens, computed: tokens.count, salt: salt)
    for index in 0..<tokens.count / size {
      try #require(ledger.contents[table.blocks[index]] == Self.path(tokens, upTo: (index + 1) * size, salt: salt))
    }
    holders.append(Holder(tokens: tokens, salt: salt, table: table))
  }

  private func check(_ pool: KVBlockPool, _ holders: [Holder], _ ledger: Ledger) throws {
    let held = ledger.references(holders)
    try #require(pool.freeCount == pool.blockCount - held.count)
    for block in (0..<pool.blockCount).map({ KVBlockID(Int32($0)) }) {
      try #require(pool.referenceCount(of: block) == held[block] ?? 0)
    }
    // What somebody holds is always found.
    if let holder = holders.last {
      let full = holder.tokens.count / pool.blockSize
      try #require(pool.cachedPrefix(of: holder.tokens[...], salt: holder.salt).count == full)
    }
  }
}
