/// One piece of a word that is being merged: a token, or a character that is none.
struct MergeSymbol {
  /// In bytes, from the beginning of the word.
  var start: Int32
  var byteCount: Int32
  /// Negative: no token.
  var id: Int32
}

/// Which two neighbours may become one, and which pair goes first.
protocol MergeRule {
  /// - Returns: The token that the two make, and the pair's rank: the lowest merges first. nil: they stay apart.
  func merge(_ left: MergeSymbol, _ right: MergeSymbol) -> (rank: UInt32, id: Int32)?
}

/// Merges the pair of lowest rank, the leftmost among equals, until no pair is left that may merge.
///
/// A heap over a linked list: n symbols take O(n log n), whatever the text. One value serves word after word, and
/// keeps its memory.
struct PairMerger {
  private static let none: UInt32 = .max

  private struct Node {
    var symbol: MergeSymbol
    /// Index of the neighbour, or −1. A node that was merged into its left neighbour has byteCount 0.
    var previous: Int32
    var next: Int32
    /// Of the pair with the right neighbour: what tells a live entry of the heap from an outdated one.
    var rank: UInt32
    var merged: Int32
  }

  private var nodes: [Node] = []
  private var heap = MinimumHeap()

  mutating func begin() {
    nodes.removeAll(keepingCapacity: true)
  }

  mutating func append(_ symbol: MergeSymbol) {
    let index = Int32(nodes.count)
    if index > 0 { nodes[Int(index) - 1].next = index }
    nodes.append(Node(symbol: symbol, previous: index - 1, next: -1, rank: Self.none, merged: -1))
  }

  /// Merges what was appended since `begin()`, and hands each remaining symbol to `emit`, left to right.
  mutating func merge(by rule: some MergeRule, _ emit: (MergeSymbol) -> Void) {
    for index in nodes.indices { rankPair(at: Int32(index), by: rule) }
    while let (rank, index) = heap.popFirst() {
      let node = nodes[Int(index)]
      guard node.symbol.byteCount > 0, node.rank == rank else { continue }
      let right = nodes[Int(node.next)]
      nodes[Int(index)].symbol.byteCount += right.symbol.byteCount
      nodes[Int(index)].symbol.id = node.merged
      nodes[Int(index)].next = right.next
      nodes[Int(node.next)].symbol.byteCount = 0
      if right.next >= 0 { nodes[Int(right.next)].previous = index }
      rankPair(at: index, by: rule)
      if node.previous >= 0 { rankPair(at: node.previous, by: rule) }
    }
    for node in nodes where node.symbol.byteCount > 0 { emit(node.symbol) }
  }

  private mutating func rankPair(at index: Int32, by rule: some MergeRule) {
    let node = nodes[Int(index)]
    guard node.next >= 0, let pair = rule.merge(node.symbol, nodes[Int(node.next)].symbol) else {
      nodes[Int(index)].rank = Self.none
      return
    }
    nodes[Int(index)].rank = pair.rank
    nodes[Int(index)].merged = pair.id
    heap.insert(rank: pair.rank, index: index)
  }
}

/// A binary heap of (rank, index), the smallest first.
private struct MinimumHeap {
  private var entries: [UInt64] = []

  mutating func insert(rank: UInt32, index: Int32) {
    let entry = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: index))
    var hole = entries.count
    entries.append(entry)
    while hole > 0, entries[(hole - 1) / 2] > entry {
      entries[hole] = entries[(hole - 1) / 2]
      hole = (hole - 1) / 2
    }
    entries[hole] = entry
  }

  mutating func popFirst() -> (rank: UInt32, index: Int32)? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    var hole = 0
    while hole * 2 + 1 < entries.count {
      var child = hole * 2 + 1
      if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
      guard entries[child] < last else { break }
      entries[hole] = entries[child]
      hole = child
    }
    if !entries.isEmpty { entries[hole] = last }
    return (UInt32(first >> 32), Int32(truncatingIfNeeded: first))
  }
}
