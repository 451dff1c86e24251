/// Finds full blocks by what they hold: the block's own tokens, and which block comes before.
///
/// Exact: tokens are compared, not hashes of them, and the block before is named by an identity that is never given
/// twice. So whatever happens to a parent, its children can at worst not be found; they cannot be found wrongly.
struct KVPrefixIndex: Sendable {
  enum Parent: Hashable, Sendable {
    /// The prompt's beginning. Prompts with different salts share nothing.
    case root(salt: String?)
    case block(UInt64)
  }

  private struct Key: Hashable {
    var parent: Parent
    var tokens: ArraySlice<Int32>
  }

  private struct Entry {
    var identity: UInt64
    var key: Key
    var name: KVBlockName?
  }

  private var blocks: [Key: KVBlockID] = [:]
  private var entries: [Entry?]
  private var identities: UInt64 = 0

  init(blockCount: Int) { entries = Array(repeating: nil, count: blockCount) }

  func knows(_ block: KVBlockID) -> Bool { entries[Int(block.index)] != nil }

  func identity(of block: KVBlockID) -> UInt64? { entries[Int(block.index)]?.identity }

  /// nil if the index does not know the block, or knows it without a name.
  func name(of block: KVBlockID) -> KVBlockName? { entries[Int(block.index)]?.name }

  func block(parent: Parent, tokens: ArraySlice<Int32>) -> KVBlockID? {
    blocks[Key(parent: parent, tokens: tokens)]
  }

  /// - Precondition: Neither the block nor its contents are in the index.
  mutating func insert(_ block: KVBlockID, parent: Parent, tokens: ArraySlice<Int32>, name: KVBlockName?) {
    // A copy of these tokens alone: the slice would keep its whole prompt in memory.
    let key = Key(parent: parent, tokens: ArraySlice(Array(tokens)))
    precondition(entries[Int(block.index)] == nil && blocks[key] == nil)
    identities += 1
    entries[Int(block.index)] = Entry(identity: identities, key: key, name: name)
    blocks[key] = block
  }

  /// Forgets what the block holds; harmless if the index did not know it.
  mutating func remove(_ block: KVBlockID) {
    guard let entry = entries[Int(block.index)] else { return }
    entries[Int(block.index)] = nil
    blocks[entry.key] = nil
  }
}
