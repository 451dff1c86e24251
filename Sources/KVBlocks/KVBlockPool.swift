/// Which blocks of a KV pool are free, how many hold on to each, and which full blocks hold a known prefix.
///
/// A block is *held* (somebody references it), *cached* (nobody does, but the prefix index knows its contents and may
/// hand it out again) or *blank*. Cached and blank blocks are free: `allocate` takes blank ones first, then the cached
/// one that was released longest ago.
///
/// A value without a lock: the engine's step loop owns the only one. It knows no bytes; those are in `KVMemory`.
package struct KVBlockPool: Sendable {
  package let blockCount: Int
  /// Tokens per block.
  package let blockSize: Int
  /// Without it no block is ever found by its contents.
  package let cachesPrefixes: Bool

  /// A block that is found by its contents, and their name.
  package struct Named: Sendable {
    package var block: KVBlockID
    package var name: KVBlockName

    package init(block: KVBlockID, name: KVBlockName) {
      self.block = block
      self.name = name
    }
  }

  private var references: [Int32]
  private var free: KVBlockQueue
  private var index: KVPrefixIndex
  private let fingerprint: String?
  private var evicted: [Named] = []

  /// - Parameter fingerprint: Of what names are made (`KVBlockName.root`); nil: no block gets a name.
  package init(blockCount: Int, blockSize: Int, cachesPrefixes: Bool = true, fingerprint: String? = nil) {
    precondition(blockCount > 0 && blockCount <= Int(Int32.max) && blockSize > 0)
    self.blockCount = blockCount
    self.blockSize = blockSize
    self.cachesPrefixes = cachesPrefixes
    self.fingerprint = fingerprint
    self.references = Array(repeating: 0, count: blockCount)
    self.free = KVBlockQueue(capacity: blockCount)
    self.index = KVPrefixIndex(blockCount: blockCount)
    for block in 0..<blockCount { free.pushLast(KVBlockID(Int32(block))) }
  }

  /// Blocks that nobody holds, cached or blank.
  package var freeCount: Int { free.count }

  package func referenceCount(of block: KVBlockID) -> Int { Int(references[Int(block.index)]) }

  package func blocks(forTokens tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

  // MARK: Holding and releasing

  /// Takes hold of `prefix` (blocks that `cachedPrefix` found) and of `count` blocks more, whose contents are lost.
  ///
  /// - Returns: Prefix and fresh blocks, in this order; nil, with nothing changed, if fewer than `count` would be free.
  package mutating func allocate(_ count: Int, after prefix: [KVBlockID] = []) -> [KVBlockID]? {
    let freePrefix = prefix.count { references[Int($0.index)] == 0 }
    guard free.count - freePrefix >= count else { return nil }
    for block in prefix { retain(block) }
    var blocks = prefix
    blocks.reserveCapacity(prefix.count + count)
    for _ in 0..<count {
      let block = free.popFirst()
      if let name = index.name(of: block) { evicted.append(Named(block: block, name: name)) }
      index.remove(block)
      references[Int(block.index)] = 1
      blocks.append(block)
    }
    return blocks
  }

  /// Lets go of a sequence's blocks, given in the sequence's order. The last is freed first, so that of one prefix
  /// the end is evicted before the beginning that others may share.
  package mutating func release(_ blocks: some BidirectionalCollection<KVBlockID>) {
    for block in blocks.reversed() { release(block) }
  }

  // MARK: Prefixes

  /// The blocks that hold the KV of the longest known prefix of `tokens`, whole blocks only, under the same `salt`.
  /// Nobody holds them yet: `allocate(_:after:)` does, before anything else changes the pool.
  package func cachedPrefix(of tokens: ArraySlice<Int32>, salt: String?) -> [KVBlockID] {
    guard cachesPrefixes else { return [] }
    var blocks: [KVBlockID] = []
    var parent = KVPrefixIndex.Parent.root(salt: salt)
    var start = tokens.startIndex
    while tokens.endIndex - start >= blockSize {
      guard let block = index.block(parent: parent, tokens: tokens[start..<start + blockSize]) else { break }
      blocks.append(block)
      parent = .block(index.identity(of: block)!)
      start += blockSize
    }
    return blocks
  }

  /// Makes the full, computed blocks of a sequence known, so that others find them.
  ///
  /// Where the index knows the same prefix already, in a block that was computed at the same time, the sequence goes
  /// over to that block and its own is freed: both hold the same bits.
  /// - Parameters:
  ///   - tokens: The sequence's tokens from its first.
  ///   - computed: How many of them have their KV in `table`.
  package mutating func cache(_ table: inout KVBlockTable, tokens: [Int32], computed: Int, salt: String?) {
    guard cachesPrefixes else { return }
    while (table.cachedBlocks + 1) * blockSize <= computed {
      let position = table.cachedBlocks
      let parent: KVPrefixIndex.Parent =
        position == 0 ? .root(salt: salt) : .block(index.identity(of: table.blocks[position - 1])!)
      let contents = tokens[position * blockSize..<(position + 1) * blockSize]
      let own = table.blocks[position]
      if let known = index.block(parent: parent, tokens: contents) {
        if known != own {
          retain(known)
          release(own)
          table.blocks[position] = known
        }
      } else {
        let name = name(ofLast: table.blocks[..<position], salt: salt)?.next(contents)
        index.insert(own, parent: parent, tokens: contents, name: name)
      }
      table.cachedBlocks += 1
    }
  }

  /// Forgets what free blocks hold: no prompt finds it any more. What somebody holds stays known.
  package mutating func forgetFreePrefixes() {
    for block in references.indices where references[block] == 0 { index.remove(KVBlockID(Int32(block))) }
  }

  // MARK: Names

  /// What the name of the block after this prefix is made of; nil without a fingerprint.
  /// - Parameter prefix: blocks that the pool knows, from the prompt's first.
  package func name(ofLast prefix: some BidirectionalCollection<KVBlockID>, salt: String?) -> KVBlockName? {
    guard let fingerprint else { return nil }
    return prefix.last.map { index.name(of: $0) } ?? .root(fingerprint: fingerprint, salt: salt)
  }

  /// The known blocks that `allocate` has given away since the last call: until somebody writes to them, they hold what
  /// their names say.
  package mutating func takeEvicted() -> [Named] {
    defer { evicted.removeAll() }
    return evicted
  }

  /// Every block that has a name.
  package var named: [Named] {
    references.indices.compactMap { number in
      let block = KVBlockID(Int32(number))
      return index.name(of: block).map { Named(block: block, name: $0) }
    }
  }

  // MARK: One block

  private mutating func retain(_ block: KVBlockID) {
    if references[Int(block.index)] == 0 { free.remove(block) }
    references[Int(block.index)] += 1
  }

  private mutating func release(_ block: KVBlockID) {
    let slot = Int(block.index)
    precondition(references[slot] > 0, "KV block \(block) was freed twice")
    references[slot] -= 1
    guard references[slot] == 0 else { return }
    if index.knows(block) { free.pushLast(block) } else { free.pushFirst(block) }
  }
}

/// The blocks of one sequence: position p is in slot `p % blockSize` of `blocks[p / blockSize]`.
package struct KVBlockTable: Sendable {
  package var blocks: [KVBlockID]
  /// How many of the leading blocks are in the prefix index; they are full and never written again.
  package internal(set) var cachedBlocks: Int

  package init(blocks: [KVBlockID] = [], cachedBlocks: Int = 0) {
    self.blocks = blocks
    self.cachedBlocks = cachedBlocks
  }
}
