import KVBlocks
import Testing

@Suite struct KVBlockNameTests {
  private let root = KVBlockName.root(fingerprint: "model", salt: nil)

  @Test func `A name tells who computes, for whom, and every token before`() {
    let names = [
      root, .root(fingerprint: "model", salt: ""), .root(fingerprint: "model", salt: "s"),
      .root(fingerprint: "models", salt: nil), .root(fingerprint: "models", salt: "s"),
      .root(fingerprint: "model", salt: "ss"),
      root.next([1, 2]), root.next([2, 1]), root.next([1, 2]).next([3, 4]), root.next([3, 4]).next([1, 2]),
      KVBlockName.root(fingerprint: "model", salt: "s").next([1, 2]),
    ]
    #expect(Set(names).count == names.count)
    #expect(root.next([1, 2]).next([3, 4]) == root.next([1, 2]).next([0, 3, 4].dropFirst()))
  }

  @Test func `A name survives as bytes`() {
    let name = root.next([7, 8, 9])
    let bytes = name.withUnsafeBytes { Array($0) }
    #expect(bytes.count == KVBlockName.byteCount)
    #expect(bytes.withUnsafeBytes { KVBlockName(bytes: $0) } == name)
  }

  /// A sequence's way: take the known prefix, allocate the rest, compute, make known, end.
  private func run(_ tokens: [Int32], in pool: inout KVBlockPool, salt: String? = nil) -> [KVBlockID] {
    let prefix = pool.cachedPrefix(of: tokens[...], salt: salt)
    let blocks = pool.allocate(pool.blocks(forTokens: tokens.count) - prefix.count, after: prefix)!
    var table = KVBlockTable(blocks: blocks, cachedBlocks: prefix.count)
    pool.cache(&table, tokens: tokens, computed: tokens.count, salt: salt)
    pool.release(table.blocks)
    return table.blocks
  }

  @Test func `A pool tells which known blocks it gives away, under the names that a prompt asks for`() {
    var pool = KVBlockPool(blockCount: 3, blockSize: 2, fingerprint: "model")
    let blocks = run([1, 2, 3, 4, 5], in: &pool)
    #expect(pool.takeEvicted().isEmpty)
    #expect(pool.named.map(\.name) == [root.next([1, 2]), root.next([1, 2]).next([3, 4])])
    #expect(pool.name(ofLast: blocks.prefix(1), salt: nil) == root.next([1, 2]))
    #expect(pool.name(ofLast: blocks.prefix(0), salt: nil) == root)
    _ = run([9, 9, 8, 8], in: &pool, salt: "s")
    let evicted = pool.takeEvicted()
    #expect(evicted.map(\.block) == [blocks[1]])
    #expect(evicted.map(\.name) == [root.next([1, 2]).next([3, 4])])
    #expect(pool.takeEvicted().isEmpty)
    let salted = KVBlockName.root(fingerprint: "model", salt: "s").next([9, 9])
    #expect(pool.named.map(\.name).contains(salted))
  }

  @Test func `What is forgotten is not told`() {
    var pool = KVBlockPool(blockCount: 2, blockSize: 2, fingerprint: "model")
    _ = run([1, 2, 3, 4], in: &pool)
    pool.forgetFreePrefixes()
    _ = run([5, 6, 7, 8], in: &pool)
    #expect(pool.takeEvicted().isEmpty)
  }

  @Test func `Without a fingerprint nothing has a name`() {
    var pool = KVBlockPool(blockCount: 1, blockSize: 2)
    let blocks = run([1, 2], in: &pool)
    _ = run([3, 4], in: &pool)
    #expect(pool.takeEvicted().isEmpty && pool.named.isEmpty)
    #expect(pool.name(ofLast: blocks, salt: nil) == nil)
  }
}
