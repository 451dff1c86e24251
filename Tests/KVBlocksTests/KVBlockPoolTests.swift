import KVBlocks
import Testing

@Suite struct KVBlockPoolTests {
  private func pool(_ blocks: Int = 8, blockSize: Int = 4) -> KVBlockPool {
    KVBlockPool(blockCount: blocks, blockSize: blockSize)
  }

  /// A sequence's way: take the known prefix, allocate the rest, compute, make known.
  private func run(_ tokens: [Int32], in pool: inout KVBlockPool, salt: String? = nil) throws -> KVBlockTable {
    let prefix = pool.cachedPrefix(of: tokens[...], salt: salt)
    let allocated = pool.allocate(pool.blocks(forTokens: tokens.count) - prefix.count, after: prefix)
    let blocks = try #require(allocated)
    var table = KVBlockTable(blocks: blocks, cachedBlocks: prefix.count)
    pool.cache(&table, tokens: tokens, computed: tokens.count, salt: salt)
    return table
  }

  @Test func `Every block can be allocated once, and not one more`() {
    var pool = pool()
    let all = pool.allocate(8)
    let more = pool.allocate(1)
    #expect(Set(all ?? []).count == 8)
    #expect(more == nil)
    #expect(pool.freeCount == 0)
  }

  @Test func `An allocation that does not fit changes nothing`() {
    var pool = pool()
    let held = pool.allocate(5)!
    let tooMany = pool.allocate(4)
    #expect(tooMany == nil)
    #expect(pool.freeCount == 3)
    pool.release(held)
    #expect(pool.freeCount == 8)
  }

  @Test func `Full blocks are found again; a partial one is not`() throws {
    var pool = pool()
    let tokens: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    let table = try run(tokens, in: &pool)
    pool.release(table.blocks)
    #expect(pool.freeCount == 8)
    #expect(pool.cachedPrefix(of: tokens[...], salt: nil) == Array(table.blocks.prefix(2)))
    #expect(pool.cachedPrefix(of: tokens.prefix(7), salt: nil) == Array(table.blocks.prefix(1)))
  }

  @Test func `The same tokens after another beginning are another block`() throws {
    var pool = pool()
    pool.release(try run([1, 1, 1, 1, 5, 6, 7, 8], in: &pool).blocks)
    #expect(pool.cachedPrefix(of: [2, 2, 2, 2, 5, 6, 7, 8], salt: nil).isEmpty)
    #expect(pool.cachedPrefix(of: [5, 6, 7, 8], salt: nil).isEmpty)
  }

  @Test func `Requests with different salts share nothing`() throws {
    var pool = pool()
    let tokens: [Int32] = [1, 2, 3, 4]
    let ours = try run(tokens, in: &pool, salt: "ours")
    #expect(pool.cachedPrefix(of: tokens[...], salt: nil).isEmpty)
    #expect(pool.cachedPrefix(of: tokens[...], salt: "theirs").isEmpty)
    #expect(pool.cachedPrefix(of: tokens[...], salt: "ours") == ours.blocks)
  }

  @Test func `Two that computed the same block at once end up with one`() throws {
    var pool = pool()
    let tokens: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8]
    var first = KVBlockTable(blocks: pool.allocate(2)!)
    var second = KVBlockTable(blocks: pool.allocate(2)!)
    pool.cache(&first, tokens: tokens, computed: 8, salt: nil)
    pool.cache(&second, tokens: tokens, computed: 8, salt: nil)
    #expect(first.blocks == second.blocks)
    #expect(pool.freeCount == 6)
    pool.release(first.blocks)
    #expect(pool.freeCount == 6)
    pool.release(second.blocks)
    #expect(pool.freeCount == 8)
  }

  @Test func `Blank blocks go first, then the prefix that was released longest ago, from its end`() throws {
    var pool = pool(4)
    let old: [Int32] = [1, 1, 1, 1, 2, 2, 2, 2]
    let new: [Int32] = [3, 3, 3, 3]
    pool.release(try run(old, in: &pool).blocks)
    pool.release(try run(new, in: &pool).blocks)
    let held = pool.allocate(2)!
    #expect(pool.cachedPrefix(of: old[...], salt: nil).count == 1)
    #expect(pool.cachedPrefix(of: new[...], salt: nil).count == 1)
    pool.release(held + pool.allocate(1)!)
    #expect(pool.cachedPrefix(of: old[...], salt: nil).isEmpty)
    #expect(pool.cachedPrefix(of: new[...], salt: nil).count == 1)
  }

  @Test func `A blank block is taken before a cached one, though it was released later`() throws {
    var pool = pool(2)
    let tokens: [Int32] = [1, 1, 1, 1]
    let partial = try run([2, 2], in: &pool)
    pool.release(try run(tokens, in: &pool).blocks)
    pool.release(partial.blocks)
    let taken = pool.allocate(1)
    #expect(taken == partial.blocks)
    #expect(pool.cachedPrefix(of: tokens[...], salt: nil).count == 1)
  }

  @Test func `Free blocks of the prefix itself do not count as room for the rest`() throws {
    var pool = pool(3)
    let tokens: [Int32] = [1, 1, 1, 1, 2, 2, 2, 2]
    pool.release(try run(tokens, in: &pool).blocks)
    let prefix = pool.cachedPrefix(of: tokens[...], salt: nil)
    let tooMany = pool.allocate(2, after: prefix)
    #expect(tooMany == nil)
    #expect(pool.freeCount == 3)
    let enough = pool.allocate(1, after: prefix)
    #expect(enough?.count == 3)
  }

  @Test func `Without prefix caching nothing is found`() throws {
    var pool = KVBlockPool(blockCount: 4, blockSize: 4, cachesPrefixes: false)
    let tokens: [Int32] = [1, 2, 3, 4]
    pool.release(try run(tokens, in: &pool).blocks)
    #expect(pool.cachedPrefix(of: tokens[...], salt: nil).isEmpty)
  }
}
