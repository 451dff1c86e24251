/// The free blocks, in the order in which they will be taken; any block can leave it in constant time.
///
/// A doubly linked list in two arrays: `next[b]` and `previous[b]` are the neighbours of block `b`, and the entry
/// after the last block is the list's end on both sides.
package struct KVBlockQueue: Sendable {
  package private(set) var count = 0
  private var next: [Int32]
  private var previous: [Int32]
  private let end: Int

  package init(capacity: Int) {
    end = capacity
    next = Array(repeating: -1, count: capacity + 1)
    previous = Array(repeating: -1, count: capacity + 1)
    next[end] = Int32(end)
    previous[end] = Int32(end)
  }

  package mutating func pushFirst(_ block: KVBlockID) { link(Int(block.index), after: end) }

  package mutating func pushLast(_ block: KVBlockID) { link(Int(block.index), after: Int(previous[end])) }

  /// - Precondition: The queue is not empty.
  package mutating func popFirst() -> KVBlockID {
    let block = KVBlockID(next[end])
    remove(block)
    return block
  }

  /// - Precondition: `block` is in the queue.
  package mutating func remove(_ block: KVBlockID) {
    let slot = Int(block.index)
    precondition(slot != end && next[slot] >= 0, "KV block \(block) is not free")
    next[Int(previous[slot])] = next[slot]
    previous[Int(next[slot])] = previous[slot]
    next[slot] = -1
    previous[slot] = -1
    count -= 1
  }

  private mutating func link(_ slot: Int, after before: Int) {
    precondition(next[slot] < 0, "KV block \(slot) is free already")
    let after = Int(next[before])
    next[before] = Int32(slot)
    previous[after] = Int32(slot)
    next[slot] = Int32(after)
    previous[slot] = Int32(before)
    count += 1
  }
}
