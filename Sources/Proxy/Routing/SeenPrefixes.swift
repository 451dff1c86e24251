/// Which prompt blocks one worker has seen lately: a trie whose edges lie in the hashes, because a block's hash covers all
/// before it. Beyond `capacity` the block that was longest out of use leaves. A block is never used without those before
/// it, so a leaf leaves before its stem, and what is known of a prompt is always a prefix.
package struct SeenPrefixes: Sendable {
  /// 16,384 blocks are 4 MiB of text, about a million tokens: the KV memory of a large worker.
  package static let usualCapacity = 16_384
  private let capacity: Int
  private var places: [UInt64: Int32] = [:]
  /// A doubly linked list from the newest to the oldest block, by place.
  private var hashes: [UInt64] = []
  private var newer: [Int32] = []
  private var older: [Int32] = []
  private var newest: Int32 = -1
  private var oldest: Int32 = -1

  /// - Parameter capacity: In blocks, at least 1.
  package init(capacity: Int = SeenPrefixes.usualCapacity) {
    precondition(capacity > 0)
    self.capacity = capacity
  }

  package var count: Int { hashes.count }

  /// How many blocks, from the first on, are known.
  package func length(of blocks: [UInt64]) -> Int {
    var (known, unknown) = (0, blocks.count)
    while known < unknown {
      let middle = (known + unknown) / 2
      if places[blocks[middle]] == nil { unknown = middle } else { known = middle + 1 }
    }
    return known
  }

  /// Makes the blocks the newest, the first one last of all.
  package mutating func insert(_ blocks: [UInt64]) {
    for hash in blocks.prefix(capacity).reversed() {
      if let place = places[hash] {
        unlink(place)
        linkAsNewest(place)
      } else {
        linkAsNewest(freePlace(for: hash))
      }
    }
  }

  private mutating func freePlace(for hash: UInt64) -> Int32 {
    let place: Int32
    if hashes.count < capacity {
      place = Int32(hashes.count)
      hashes.append(hash)
      newer.append(-1)
      older.append(-1)
    } else {
      place = oldest
      places[hashes[Int(place)]] = nil
      unlink(place)
      hashes[Int(place)] = hash
    }
    places[hash] = place
    return place
  }

  private mutating func unlink(_ place: Int32) {
    let (next, previous) = (newer[Int(place)], older[Int(place)])
    if next >= 0 { older[Int(next)] = previous } else { newest = previous }
    if previous >= 0 { newer[Int(previous)] = next } else { oldest = next }
  }

  private mutating func linkAsNewest(_ place: Int32) {
    newer[Int(place)] = -1
    older[Int(place)] = newest
    if newest >= 0 { newer[Int(newest)] = place } else { oldest = place }
    newest = place
  }
}
